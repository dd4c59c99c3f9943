package transform

import "hydrant/config"

func newRollup(*config.Rollup) (processor, error) { return nil, errNoStep }
