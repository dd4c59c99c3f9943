package vfs

import (
	"maps"
	"math/rand"
	"slices"
)

// CrashOptions say how much of what was not synced a power cut leaves.
type CrashOptions struct {
	// Rand decides; it is needed when KeepUnsynced is above 0. The same seed gives the same disk.
	Rand *rand.Rand
	// KeepUnsynced is the probability, 0 to 1, that a page or a name that was not synced survives.
	// 0 keeps exactly what was synced, 1 keeps everything.
	KeepUnsynced float64
}

func (o CrashOptions) keep() bool {
	return o.KeepUnsynced > 0 && o.Rand.Float64() < o.KeepUnsynced
}

// CrashClone returns what a machine finds after a power cut at this moment: durable names with durable
// content, and of the rest what the options let survive, 512-byte sectors whole or not at all, each file as long as it
// was durably, as it is now, or anything between. The clone has no open files, no hook and no crash ahead; all it
// holds is durable. m goes on unharmed: to stop what runs on it, call Crash before.
func (m *Mem) CrashClone(opt CrashOptions) *Mem {
	c := m.clone()
	c.writeBack(opt)
	for _, n := range c.nodes() {
		if n.dir {
			n.names = maps.Clone(n.durable)
			continue
		}
		n.live = n.disk.clone()
		n.blocks = n.live.blocks()
		n.state, n.owned, n.dirty = nil, nil, nil
		n.cut, n.cutSince, n.resized = noTruncate, noTruncate, false
	}
	c.recount()
	return c
}

// KillClone returns what the end of the process alone leaves: everything is there, but what was not
// durable still is not. The clone has no open files, no hook and no crash ahead.
func (m *Mem) KillClone() *Mem {
	c := m.clone()
	c.recount()
	return c
}

// WriteBack does what a kernel may do at any time: it makes some of what is dirty durable, by the same chances as CrashClone.
// Nothing becomes clean by it. A test that calls it now and then sees older versions of a page survive, too.
func (m *Mem) WriteBack(opt CrashOptions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writeBack(opt)
}

// DropCache makes a file read as it is on disk where a sync of it failed, as when the kernel dropped
// those pages. Pages that are dirty stay.
func (m *Mem) DropCache(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(name)
	if err != nil {
		return pathError("dropcache", name, err)
	}
	before := n.allocated()
	n.content.dropLost()
	m.used += n.allocated() - before
	return nil
}

// clone copies all nodes that a live or durable name leads to. Pages are shared and copied by whoever writes first.
func (m *Mem) clone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	copies := map[*node]*node{}
	c := &Mem{capacity: m.capacity}
	c.root = copyNode(m.root, copies)
	return c
}

func copyNode(n *node, copies map[*node]*node) *node {
	if n == nil {
		return nil
	}
	if c, ok := copies[n]; ok {
		return c
	}
	c := &node{dir: n.dir, name: n.name}
	copies[n] = c // before its entries: renamed folders can stand in each other's durable names
	if !n.dir {
		c.content = n.content.share()
		return c
	}
	c.parent = copyNode(n.parent, copies)
	c.names = copyNames(n.names, copies)
	c.durable = copyNames(n.durable, copies)
	return c
}

func copyNames(names map[string]*node, copies map[*node]*node) map[string]*node {
	c := make(map[string]*node, len(names))
	for name, n := range names {
		c[name] = copyNode(n, copies)
	}
	return c
}

// nodes lists every node that a live or durable name leads to, in an order that depends on names alone.
func (m *Mem) nodes() []*node {
	list := []*node{m.root}
	seen := map[*node]bool{m.root: true}
	for i := 0; i < len(list); i++ {
		for _, names := range []map[string]*node{list[i].names, list[i].durable} {
			for _, name := range slices.Sorted(maps.Keys(names)) {
				if n := names[name]; !seen[n] {
					seen[n] = true
					list = append(list, n)
				}
			}
		}
	}
	return list
}

// recount sets links, parents and used space of a clone from its live names.
func (m *Mem) recount() {
	m.used = 0
	for _, n := range m.nodes() {
		n.links, n.parent = 0, nil
	}
	m.root.adopt(map[*node]bool{m.root: true})
	for _, n := range m.nodes() {
		if n.links > 0 {
			m.used += n.allocated()
		}
	}
}

// adopt counts the names below a folder. A folder that two names lead to (its move was half durable) keeps one.
func (n *node) adopt(seen map[*node]bool) {
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		child := n.names[name]
		if !child.dir {
			child.links++
			continue
		}
		if seen[child] {
			delete(n.names, name)
			if n.durable[name] == child {
				delete(n.durable, name)
			}
			continue
		}
		seen[child] = true
		child.parent, child.name = n, name
		child.adopt(seen)
	}
}

// writeBack lets some of what is not durable become so.
func (m *Mem) writeBack(opt CrashOptions) {
	if opt.KeepUnsynced <= 0 {
		return
	}
	nodes := m.nodes()
	links := map[*node]int{} // durable names
	linked := map[*node]bool{}
	for _, n := range nodes {
		for _, c := range n.durable {
			links[c]++
		}
		for _, c := range n.names {
			linked[c] = true
		}
	}
	// New names first: a journal that holds the end of a rename holds its beginning.
	for _, pass := range []changeKind{nameAdded, nameReplaced, nameRemoved} {
		for _, n := range nodes {
			if n.dir {
				n.writeBackNames(opt, pass, links, linked)
			}
		}
	}
	for _, n := range nodes {
		if !n.dir {
			n.content.writeBack(opt)
		}
	}
}

type changeKind int

const (
	nameAdded changeKind = iota
	nameReplaced
	nameRemoved
)

// writeBackNames makes some changes of one kind durable. A file that has a live name and a durable one never loses its last durable
// one: no journal keeps the end of a move without its beginning.
func (n *node) writeBackNames(opt CrashOptions, pass changeKind, links map[*node]int, linked map[*node]bool) {
	all := maps.Clone(n.durable)
	maps.Copy(all, n.names)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, is := n.durable[name], n.names[name]
		if was == is || changeOf(was, is) != pass || !opt.keep() {
			continue
		}
		if was != nil {
			if linked[was] && links[was] < 2 {
				continue
			}
			links[was]--
		}
		if is == nil {
			delete(n.durable, name)
			continue
		}
		n.durable[name] = is
		links[is]++
	}
}

func changeOf(was, is *node) changeKind {
	switch {
	case was == nil:
		return nameAdded
	case is == nil:
		return nameRemoved
	}
	return nameReplaced
}

// share copies the content for a clone. From now on neither side may write its pages in place.
func (c *content) share() content {
	clear(c.owned)
	s := *c
	s.live, s.disk = c.live.clone(), c.disk.clone()
	s.state, s.owned, s.dirty = slices.Clone(c.state), slices.Clone(c.owned), slices.Clone(c.dirty)
	return s
}

// writeBack puts some dirty and lost pages on disk, in whole sectors, and perhaps the size.
func (c *content) writeBack(opt CrashOptions) {
	if c.cut < c.disk.size && opt.keep() {
		c.disk.resize(c.cut)
	}
	size := c.disk.size
	if c.disk.size != c.live.size {
		size = c.sizeAfter(opt)
	}
	for k, state := range c.state {
		if state != pageClean && c.live.page(k) != nil {
			c.disk.put(k, tear(c.disk.page(k), c.live.pages[k], opt))
			c.owned[k] = false // the disk may share it now
		}
	}
	c.disk.size = max(size, int64(len(c.disk.pages))*pageBytes)
	c.disk.resize(size)
}

// sizeAfter is the live size by the chance of the options, else anything between it and the durable one.
func (c *content) sizeAfter(opt CrashOptions) int64 {
	if opt.keep() {
		return c.live.size
	}
	low, high := min(c.disk.size, c.live.size), max(c.disk.size, c.live.size)
	return low + opt.Rand.Int63n(high-low+1)
}

// tear mixes the new page into the old: half of the pages survive or not as a whole, the others sector by sector.
func tear(old, new *page, opt CrashOptions) *page {
	if opt.Rand.Intn(2) == 0 {
		if opt.keep() {
			return new
		}
		return old
	}
	var mix page
	if old != nil {
		mix = *old
	}
	for at := 0; at < pageBytes; at += sectorBytes {
		if opt.keep() {
			copy(mix[at:at+sectorBytes], new[at:])
		}
	}
	return &mix
}

// dropLost makes lost pages read as they are on disk.
func (c *content) dropLost() {
	for k, state := range c.state {
		if state != pageLost || c.live.page(k) == nil {
			continue
		}
		p := c.disk.page(k)
		if p == nil {
			c.blocks--
		}
		c.live.pages[k] = p
		c.owned[k] = false
		c.state[k] = pageClean
	}
	// What the disk holds behind the live size must not show.
	size := c.live.size
	c.live.size = int64(len(c.live.pages)) * pageBytes
	c.live.resize(size)
}
