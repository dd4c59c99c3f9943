package vfs

const (
	pageBytes   = 4096
	sectorBytes = 512
	// maxFileBytes keeps a wrong offset from taking all memory: 16 GiB.
	maxFileBytes = 1 << 34
	noTruncate   = int64(maxFileBytes)
)

type page [pageBytes]byte

// image is one version of a file's content. A nil page is a hole. Bytes behind size are zero.
// Pages may be shared between images; who owns one alone is known to content.
type image struct {
	size  int64
	pages []*page
}

func pageCount(size int64) int { return int((size + pageBytes - 1) / pageBytes) }

func (i *image) page(k int) *page {
	if k < len(i.pages) {
		return i.pages[k]
	}
	return nil
}

func (i *image) readAt(b []byte, off int64) int {
	if off >= i.size {
		return 0
	}
	b = b[:min(int64(len(b)), i.size-off)]
	for done := 0; done < len(b); {
		at := off + int64(done)
		part := b[done:min(len(b), done+int(pageBytes-at%pageBytes))]
		if p := i.page(int(at / pageBytes)); p != nil {
			copy(part, p[at%pageBytes:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return len(b)
}

// resize cuts or lengthens the image. The last page is copied before its tail is cleared, as it may be shared.
func (i *image) resize(size int64) {
	if size < i.size {
		n := pageCount(size)
		if n < len(i.pages) {
			clear(i.pages[n:])
			i.pages = i.pages[:n]
		}
		if tail := size % pageBytes; tail != 0 && i.page(n-1) != nil {
			cut := *i.pages[n-1]
			clear(cut[tail:])
			i.pages[n-1] = &cut
		}
	}
	i.size = size
}

// put sets a page, with holes before it where there were none.
func (i *image) put(k int, p *page) {
	for len(i.pages) <= k {
		i.pages = append(i.pages, nil)
	}
	i.pages[k] = p
}

// blocks counts the pages that are no holes.
func (i *image) blocks() (n int64) {
	for _, p := range i.pages {
		if p != nil {
			n++
		}
	}
	return n
}

func (i *image) clone() image {
	return image{i.size, append([]*page(nil), i.pages...)}
}

type pageState uint8

const (
	// pageClean: the durable page is the same, or the page is a hole that was never written.
	pageClean pageState = iota
	// pageDirty: the next successful sync makes it durable.
	pageDirty
	// pageLost: a sync of it failed; it reads back, but no sync makes it durable until it is written again.
	pageLost
)

// content is a file as it is read now and as a power cut leaves it.
type content struct {
	live image
	disk image

	state []pageState // of each page of live; shorter means clean
	owned []bool      // the live page is in no other image and may be written in place
	dirty []int       // pages that became dirty since the last sync, perhaps clean or cut off again
	// cut is the lowest size the file was truncated to since the last sync, else noTruncate:
	// what lies behind it on disk is void once the next sync is through.
	cut int64
	// resized says that the size is to be made durable. A failed sync forgets it, as it forgets pages.
	resized bool
	// cutSince and resizedSince are the same for the time since startSync.
	cutSince     int64
	resizedSince bool

	blocks int64 // pages of live that are no holes
}

func newContent() content { return content{cut: noTruncate, cutSince: noTruncate} }

// allocated is the space the file takes now, in bytes.
func (c *content) allocated() int64 { return c.blocks * pageBytes }

// writeAt writes until room bytes of new pages are used up. Pages that exist need no room.
func (c *content) writeAt(b []byte, off, room int64) (done int) {
	for done < len(b) {
		at := off + int64(done)
		part := b[done:min(len(b), done+int(pageBytes-at%pageBytes))]
		k := int(at / pageBytes)
		if c.live.page(k) == nil {
			if room < pageBytes {
				return done
			}
			room -= pageBytes
			c.blocks++
		}
		copy(c.own(k, len(part) == pageBytes)[at%pageBytes:], part)
		done += len(part)
		if end := at + int64(len(part)); end > c.live.size {
			c.live.size = end
			c.resized, c.resizedSince = true, true
		}
	}
	return done
}

// own returns a page that may be written, and marks it dirty. whole says that all of it will be overwritten.
func (c *content) own(k int, whole bool) *page {
	for len(c.state) <= k {
		c.state = append(c.state, pageClean)
		c.owned = append(c.owned, false)
	}
	if c.state[k] != pageDirty {
		c.state[k] = pageDirty
		c.dirty = append(c.dirty, k)
	}
	old := c.live.page(k)
	if c.owned[k] && old != nil {
		return old
	}
	p := new(page)
	if old != nil && !whole {
		*p = *old
	}
	c.live.put(k, p)
	c.owned[k] = true
	return p
}

func (c *content) truncate(size int64) {
	if size == c.live.size {
		return
	}
	c.resized, c.resizedSince = true, true
	if size < c.live.size {
		c.cut, c.cutSince = min(c.cut, size), min(c.cutSince, size)
		n := pageCount(size)
		for k := n; k < len(c.live.pages); k++ {
			if c.live.pages[k] != nil {
				c.blocks--
			}
		}
		c.state = c.state[:min(len(c.state), n)]
		c.owned = c.owned[:min(len(c.owned), n)]
	}
	c.live.resize(size)
}

// pendingSync is what a sync will make durable: the content at the moment it was called.
type pendingSync struct {
	pages   map[int]*page
	size    int64
	cut     int64
	resized bool
}

// startSync notes what is dirty. Pages stay dirty until finishSync, but are copied before they are written again.
func (c *content) startSync() pendingSync {
	p := pendingSync{pages: make(map[int]*page, len(c.dirty)), size: c.live.size, cut: c.cut, resized: c.resized}
	for _, k := range c.dirty {
		if k < len(c.state) && c.state[k] == pageDirty {
			p.pages[k] = c.live.pages[k]
			c.owned[k] = false
		}
	}
	c.dirty = c.dirty[:0]
	for k := range p.pages {
		c.dirty = append(c.dirty, k)
	}
	c.cutSince, c.resizedSince = noTruncate, false
	return p
}

// settle gives the pages of a sync their state after it, except those written or cut off meanwhile.
func (c *content) settle(p pendingSync, state pageState) {
	for k, was := range p.pages {
		if k < len(c.state) && c.live.page(k) == was && c.state[k] == pageDirty {
			c.state[k] = state
		}
	}
	rest := c.dirty[:0]
	for _, k := range c.dirty {
		if k < len(c.state) && c.state[k] == pageDirty {
			rest = append(rest, k)
		}
	}
	c.dirty = rest
}

func (c *content) finishSync(p pendingSync) {
	if p.cut < c.disk.size {
		c.disk.resize(p.cut)
	}
	size := c.disk.size
	for k, was := range p.pages {
		c.disk.put(k, was)
		size = max(size, min(p.size, int64(k+1)*pageBytes))
	}
	if p.resized {
		size = p.size
	}
	c.disk.resize(size)
	c.cut, c.resized = c.cutSince, c.resizedSince
	c.settle(p, pageClean)
}

// failSync forgets pages and the size that writes gave the file. A truncation is the file system's own and comes with a later sync.
func (c *content) failSync(p pendingSync) {
	c.resized = c.resizedSince || p.cut < noTruncate
	c.settle(p, pageLost)
}
