package transform

import "hydrant/config"

func newRollup(*config.Rollup) (stateful, error) { return nil, errNoStep }
