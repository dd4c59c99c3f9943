package transform

import "hydrant/config"

func newDedupe(*config.Dedupe) (stateful, error) { return nil, errNoStep }
