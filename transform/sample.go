package transform

import "hydrant/config"

func newSample(*config.Sample) (processor, error) { return nil, errNoStep }
