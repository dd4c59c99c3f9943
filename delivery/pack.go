package delivery

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"hydrant/record"
)

var (
	// errStopped ends a round early: the destination takes nothing at the moment.
	errStopped = errors.New("the round was stopped")
	// errHeld ends the reading of a round, not the round: the destination does not answer, and what was read of the log must not be held
	// in memory meanwhile.
	errHeld = errors.New("all requests are under way")
)

// patience is how long what was read of the log is held while all requests are under way.
const patience = time.Second

// parcel is a request with the memory its records lie in.
type parcel struct {
	req   record.Request
	arena []byte
	raws  []raw
	fresh int   // items that are not settled
	grant int64 // of Memory
}

// raw is what an item's error record would hold.
type raw struct {
	from, to int // in arena; of one that is delivered as it came, where its data lies
}

// parcels are reused: their arenas are as large as requests.
var parcels = sync.Pool{New: func() any { return &parcel{} }}

func (p *parcel) reset() {
	clear(p.req.Items)
	p.req.Items, p.arena, p.raws, p.req.Bytes, p.fresh = p.req.Items[:0], p.arena[:0], p.raws[:0], 0, 0
}

// packer fills requests with the records of one round and has them sent, several at once where the destination likes that. The
// goroutines that send belong to it: end waits for them.
type packer struct {
	ctx    context.Context
	s      *sending
	limits record.RequestLimits
	cur    *parcel
	ends   []int // in cur.arena, of each item's data
	free   chan *parcel
	made   int
	wg     sync.WaitGroup

	heldPos record.Position // what add has not taken yet, after errHeld
	heldSub uint16

	mu      sync.Mutex
	out     record.Outcome // the worst that was said
	stopped bool
}

func newPacker(ctx context.Context, s *sending) *packer {
	return &packer{ctx: ctx, s: s, free: make(chan *parcel, 64)}
}

// add puts a record into the current request. One that is settled only takes its place, where requests must stay the same.
func (p *packer) add(x *record.Derived) error {
	settled := p.s.board.has(x.Pos, x.Sub)
	whole := p.s.spec.Requests.Whole
	if settled && !whole {
		return nil
	}
	if x.Pos == p.heldPos && x.Sub < p.heldSub {
		return nil // taken before the reading was interrupted
	}
	p.heldPos, p.heldSub = x.Pos, x.Sub
	if p.cur == nil {
		if err := p.begin(patience); err != nil {
			return err
		}
	}
	if n := len(p.cur.req.Items); n > 0 && (n >= p.limits.Records || p.cur.req.Bytes+int64(len(x.Data)) > p.limits.Bytes) {
		if err := p.flush(); err != nil {
			return err
		}
		if err := p.begin(patience); err != nil {
			return err
		}
	}
	p.put(x, settled)
	return nil
}

func (p *packer) put(x *record.Derived, settled bool) {
	c := p.cur
	c.arena = append(c.arena, x.Data...)
	p.ends = append(p.ends, len(c.arena))
	var r raw
	if len(x.Raw) != len(x.Data) || len(x.Raw) > 0 && &x.Raw[0] != &x.Data[0] {
		r.from = len(c.arena)
		c.arena = append(c.arena, x.Raw...)
		r.to = len(c.arena)
	} else {
		r.from, r.to = len(c.arena)-len(x.Data), len(c.arena)
	}
	c.raws = append(c.raws, r)
	c.req.Items = append(c.req.Items, record.Item{ID: x.ID, Sub: x.Sub, Origin: x.Origin, ArrivalMillis: x.ArrivalMillis, Data: x.Data})
	c.req.Bytes += int64(len(x.Data))
	if !settled {
		c.fresh++
	}
}

// begin takes an empty parcel, when one is free within some time.
func (p *packer) begin(within time.Duration) error {
	p.limits = p.s.limits()
	if p.isStopped() {
		return errStopped
	}
	p.ends = p.ends[:0]
	defer p.makeRoom() // whoever gets a parcel
	if p.made < p.limits.Concurrent {
		select {
		case p.cur = <-p.free:
		default:
			p.made++
			p.cur = parcels.Get().(*parcel)
			p.cur.reset()
		}
		return nil
	}
	select {
	case p.cur = <-p.free:
	default:
		t := time.NewTimer(within)
		defer t.Stop()
		select {
		case p.cur = <-p.free:
		case <-t.C:
			return errHeld
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	if p.isStopped() {
		return errStopped
	}
	return nil
}

// makeRoom lets a request's memory grow at once, not by and by.
func (p *packer) makeRoom() {
	if p.cur == nil {
		return
	}
	want := min(p.limits.Bytes, p.s.e.Batch.Bytes+1)
	p.cur.grant = p.s.r.opt.Memory.take(want)
	if !p.s.spec.Requests.Whole { // else its size is settled
		want = p.cur.grant
		p.limits.Bytes = want
	}
	if room := int(want) + 16<<10; cap(p.cur.arena) < room || cap(p.cur.arena) > 4*room {
		p.cur.arena = make([]byte, 0, room)
	}
}

// flush sends the current request beside this goroutine.
func (p *packer) flush() error {
	c := p.cur
	p.cur = nil
	if c == nil {
		return nil
	}
	if c.fresh == 0 {
		p.done(c)
		return nil
	}
	for i := range c.req.Items { // the arena has stopped moving
		to := p.ends[i]
		c.req.Items[i].Data = c.arena[to-len(c.req.Items[i].Data) : to : to]
	}
	c.req.Stream, c.req.Version = p.s.r.opt.Stream, p.s.e.Version
	p.wg.Go(func() {
		p.offer(&c.req, c)
		p.done(c)
	})
	return nil
}

// done gives a parcel back.
func (p *packer) done(c *parcel) {
	p.s.r.opt.Memory.give(c.grant)
	c.grant = 0
	c.reset()
	p.free <- c
}

// end sends what is left and waits for all answers.
func (p *packer) end() error {
	err := error(nil)
	switch {
	case p.cur != nil && !p.isStopped():
		err = p.flush()
	case p.cur != nil:
		p.done(p.cur)
	}
	p.wg.Wait()
	for len(p.free) > 0 {
		parcels.Put(<-p.free)
	}
	return err
}

func (p *packer) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// offer sends one request, and as halves when it is too large, and settles what its answer says.
func (p *packer) offer(req *record.Request, c *parcel) {
	if p.isStopped() || p.ctx.Err() != nil {
		return
	}
	if p.s.spec.Requests.Whole {
		req.ID = requestID(req, p.s.e.Role)
		if p.wasHalved(req) {
			p.halve(req, c)
			return
		}
	}
	reply := p.s.to.Send(p.ctx, req)
	p.s.r.opt.Metrics.request(p.s.r.opt.Stream, p.s.r.opt.Role, len(req.Items), req.Bytes, reply.Kind)
	if reply.Kind == record.Rejected && reply.TooLarge && len(req.Items) > 1 {
		p.s.halved.Store(req.ID, true)
		p.halve(req, c)
		return
	}
	p.settle(req, c, reply)
}

// halve offers a request as two.
func (p *packer) halve(req *record.Request, c *parcel) {
	mid := len(req.Items) / 2
	for _, half := range [][]record.Item{req.Items[:mid], req.Items[mid:]} {
		if p.settled(half) == len(half) { // in an earlier round; not every destination would know it again
			continue
		}
		h := record.Request{Stream: req.Stream, Version: req.Version, Items: half}
		for i := range half {
			h.Bytes += int64(len(half[i].Data))
		}
		p.offer(&h, c)
	}
}

// wasHalved says whether a request was refused for its size before, in this life or, as is seen from what became of its halves, in
// an earlier one. It is never offered again, whatever the destination takes by now: one of its halves may have been taken, or refused.
func (p *packer) wasHalved(req *record.Request) bool {
	if _, halved := p.s.halved.Load(req.ID); halved {
		return true
	}
	n := p.settled(req.Items)
	return n > 0 && n < len(req.Items)
}

// settled is of how many items it is known what became of them.
func (p *packer) settled(items []record.Item) (n int) {
	for i := range items {
		if p.s.board.has(items[i].Pos, items[i].Sub) {
			n++
		}
	}
	return n
}

// settle notes what became of each item.
func (p *packer) settle(req *record.Request, c *parcel, reply record.Reply) {
	first := indexOf(c, req)
	verdicts := inOrder(reply.Verdicts)
	for i := range req.Items {
		out := reply.Outcome
		for len(verdicts) > 0 && verdicts[0].Item <= i {
			if verdicts[0].Item == i {
				out = verdicts[0].Outcome
			}
			verdicts = verdicts[1:]
		}
		if reply.Kind == record.Retry && out.Kind == record.Rejected && p.s.spec.Requests.Whole {
			continue // it comes again as it was, with this one
		}
		p.settleItem(&req.Items[i], c, first+i, out)
	}
	if reply.Kind == record.Retry {
		p.mu.Lock()
		p.stopped = true // whatever it is, the next request would meet it, too
		p.mu.Unlock()
		p.later(reply.Outcome) // also when each of these items has a verdict: others were not sent
		return
	}
	if !p.s.spec.Requests.Idempotent && p.s.board.takenSome() {
		p.s.note()
	}
}

// inOrder is verdicts in the order of their items, as they should be: what is passed over would count as the rest does.
func inOrder(verdicts []record.Verdict) []record.Verdict {
	byItem := func(a, b record.Verdict) int { return cmp.Compare(a.Item, b.Item) }
	if !slices.IsSortedFunc(verdicts, byItem) {
		slices.SortStableFunc(verdicts, byItem)
	}
	return verdicts
}

// later notes that something must be offered again, and the longest wait that the destination asks for.
func (p *packer) later(out record.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out.Kind == 0 || p.out.RetryAfter < out.RetryAfter {
		p.out = out
	}
	p.out.Kind = record.Retry
}

func (p *packer) settleItem(item *record.Item, c *parcel, i int, out record.Outcome) {
	switch out.Kind {
	case record.Delivered:
		p.s.board.delivered(item)
	case record.Rejected:
		f := &record.Failure{Type: p.s.spec.Requests.ErrorType, Code: out.Code, Message: errText(out.Err)}
		x := record.Derived{ID: item.ID, Sub: item.Sub, Origin: item.Origin, ArrivalMillis: item.ArrivalMillis, Raw: c.arena[c.raws[i].from:c.raws[i].to]}
		p.s.board.failed(&x, f, p.s.rounds, p.s.to.Describe(item))
	default:
		p.later(out)
	}
}

// indexOf is where a request, or a part of one, begins in its parcel.
func indexOf(c *parcel, req *record.Request) int {
	for i := range c.req.Items {
		if &c.req.Items[i] == &req.Items[0] {
			return i
		}
	}
	return 0
}

// limits are those of the destination, or those that the entry was noted with.
func (s *sending) limits() record.RequestLimits {
	l := s.to.Limits()
	if s.spec.Requests.Whole && s.e.PackRecords > 0 {
		l.Records, l.Bytes, l.Concurrent = s.e.PackRecords, s.e.PackBytes, 1
	}
	return l
}

// requestID has the shape of a version 8 UUID and is a hash over what makes each of the records itself, in their order, the role and
// the version of the spec: another set of records, or other bytes for the same, never have it.
func requestID(req *record.Request, role record.Role) string {
	var sums [2]uint64
	for n := range sums {
		h := xxhash.NewWithSeed(uint64(n + 1))
		_, _ = fmt.Fprintf(h, "%s|%d|", role, req.Version)
		var b [26]byte
		for i := range req.Items {
			id, sub := req.Items[i].Name()
			copy(b[:16], id.Epoch[:])
			binary.BigEndian.PutUint64(b[16:], uint64(id.Pos))
			binary.BigEndian.PutUint16(b[24:], sub)
			_, _ = h.Write(b[:])
		}
		sums[n] = h.Sum64()
	}
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], sums[0]&^0xf000|8<<12)
	binary.BigEndian.PutUint64(u[8:], 2<<62|sums[1]>>2)
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
