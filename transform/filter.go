package transform

import "hydrant/config"

func newFilter(*config.Filter) (processor, error) { return nil, errNoStep }
