package transform

func newJQ(string) (processor, error) { return nil, errNoStep }
