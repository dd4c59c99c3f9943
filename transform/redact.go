package transform

import "hydrant/config"

func newRedact(*config.Redact) (processor, error) { return nil, errNoStep }
