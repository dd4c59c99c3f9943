package transform

import "hydrant/config"

func newDedupe(*config.Dedupe) (processor, error) { return nil, errNoStep }
