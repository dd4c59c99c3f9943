package transform

import "hydrant/config"

func newSet(c *config.Set) (processor, error) {
	s := &fieldEdits{name: "set"}
	for _, f := range c.Fields {
		path, err := config.FieldPath(f.Path)
		if err != nil {
			return nil, err
		}
		s.w.root.at(path).value = []byte(f.JSON)
	}
	return s, nil
}
