package transform

import "hydrant/config"

func newTimestamp(*config.Timestamp) (processor, error) { return nil, errNoStep }
