package transform

import "hydrant/config"

func newDrop(*config.Drop) (processor, error) { return nil, errNoStep }
