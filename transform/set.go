package transform

import "hydrant/config"

func newSet(*config.Set) (processor, error) { return nil, errNoStep }
