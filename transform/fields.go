package transform

// node is a field of the records that a path leads to or through.
type node struct {
	name     string
	children []*node
	slot     int // in scanner.found, when a path ends here; -1: none does
	// Slots of what lies beneath, and of the node itself.
	first, last int
}

// plant makes a tree of paths. slots gives the slot of each path; equal paths share one.
func plant(paths [][]string) (root *node, slots []int, count int) {
	root = &node{slot: -1}
	ends := make([]*node, len(paths))
	for i, path := range paths {
		n := root
		for _, name := range path {
			n = n.grow(name)
		}
		ends[i] = n
		n.slot = 0
	}
	count = root.number(0)
	for _, n := range ends {
		slots = append(slots, n.slot)
	}
	return root, slots, count
}

func (n *node) grow(name string) *node {
	if c := n.child([]byte(name)); c != nil {
		return c
	}
	c := &node{name: name, slot: -1}
	n.children = append(n.children, c)
	return c
}

// number gives out slots so that those of a subtree stand side by side.
func (n *node) number(next int) int {
	n.first = next
	if n.slot >= 0 {
		n.slot = next
		next++
	}
	for _, c := range n.children {
		next = c.number(next)
	}
	n.last = next
	return next
}

func (n *node) child(key []byte) *node {
	for _, c := range n.children {
		if c.name == string(key) {
			return c
		}
	}
	return nil
}
