package transform

import "hydrant/config"

func newWasm(*config.Wasm) (processor, error) { return nil, errNoStep }
