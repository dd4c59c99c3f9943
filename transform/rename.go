package transform

import "hydrant/config"

func newRename(c *config.Rename) (processor, error) {
	s := &fieldEdits{name: "rename"}
	for _, f := range c.Fields {
		path, err := config.FieldPath(f.From)
		if err != nil {
			return nil, err
		}
		s.w.root.at(path).rename = f.To
	}
	return s, nil
}
