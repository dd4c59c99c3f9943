package transform

import "hydrant/config"

func (b *builder) lambda(*config.Lambda, Env) (asker, error) { return nil, errNoStep }
