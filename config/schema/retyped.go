package schema

import "fmt"

// Retyped says which column, the first one, has another type in b than in a, and which; "" for none.
func Retyped(a, b []Column) string { return retyped("", a, b) }

func retyped(path string, a, b []Column) string {
	types := make(map[string]*Type, len(b))
	for _, c := range b {
		types[c.Name] = c.Type
	}
	for _, c := range a {
		t := types[c.Name]
		if t == nil || t.Equal(c.Type) {
			continue
		}
		if c.Type.Kind == Struct && t.Kind == Struct {
			if found := retyped(path+c.Name+".", c.Type.Fields, t.Fields); found != "" {
				return found
			}
			continue // fields were added
		}
		if c.Type.Kind == Array && t.Kind == Array {
			if found := retyped(path, []Column{{c.Name + "[]", c.Type.Elem}}, []Column{{c.Name + "[]", t.Elem}}); found != "" {
				return found
			}
			continue
		}
		return fmt.Sprintf("%s%s: %s is now %s", path, c.Name, c.Type, t)
	}
	return ""
}
