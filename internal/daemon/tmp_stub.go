package daemon

import (
	"hydrant/config"
	"io"
)

func newRequester(*env, string, config.Destination) (io.Closer, error) { return nil, nil }
func newLoader(*env, config.Destination) (io.Closer, error)            { return nil, nil }
