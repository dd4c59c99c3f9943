package transform

import "hydrant/config"

func newRename(*config.Rename) (processor, error) { return nil, errNoStep }
