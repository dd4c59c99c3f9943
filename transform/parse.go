package transform

import "hydrant/config"

func newParse(*config.Parser) (processor, error) { return nil, errNoStep }
