package transform

import "hydrant/record"

// block is a run of records on their way through the processors that are staged: all of them pass one before any passes the next.
type block struct {
	recs   []record.Record
	list   []blockPart // in the order of the records
	next   []blockPart
	deltas [][]byte // by record
}

// blockPart is a part and the index of the record that it was made of.
type blockPart struct {
	part
	src int
}

func newBlock(recs []record.Record) *block {
	b := &block{recs: recs, list: make([]blockPart, 0, len(recs)), deltas: make([][]byte, len(recs))}
	for i, r := range recs {
		b.list = append(b.list, blockPart{part{data: r.Data, raw: r.Data}, i})
	}
	return b
}

// each replaces every part that has not failed by what it becomes. A record that would become too many parts is one failure.
func (b *block) each(become func(src int, p part) []part) {
	b.next = b.next[:0]
	first, over := 0, -1 // of the record at hand, in next; the one that became too many
	for i, x := range b.list {
		if x.src == over {
			continue
		}
		if i == 0 || b.list[i-1].src != x.src {
			first = len(b.next)
		}
		if x.failure != nil {
			b.next = append(b.next, x)
			continue
		}
		for _, p := range become(x.src, x.part) {
			b.next = append(b.next, blockPart{p, x.src})
		}
		if len(b.next)-first > record.MaxSubs {
			raw := b.recs[x.src].Data
			over = x.src
			b.next = append(b.next[:first], blockPart{part{data: raw, raw: raw,
				failure: failed(record.ProcessingFailed, codeTooMany, "the record would become more than %d records", record.MaxSubs)}, x.src})
		}
	}
	b.list, b.next = b.next, b.list
}

// count is how many parts go on, and how many have failed.
func (b *block) count() (live, failures int) {
	for _, x := range b.list {
		if x.failure != nil {
			failures++
		}
	}
	return len(b.list) - failures, failures
}

// products are what the records became.
func (b *block) products() []record.Product {
	out := make([]record.Product, len(b.recs))
	all := make([]record.Derived, len(b.list))
	for i, x := range b.list {
		d := &all[i]
		d.Data, d.Raw, d.Values, d.Failure, d.ArrivalMillis = x.data, x.raw, x.values, x.failure, b.recs[x.src].ArrivalMillis
		if d.Raw == nil {
			d.Raw = x.data
		}
		if x.failure != nil {
			d.Data, d.Values = d.Raw, nil
		}
	}
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && b.list[to].src == b.list[from].src {
			to++
		}
		out[b.list[from].src].Records = all[from:to]
		from = to
	}
	for i, d := range b.deltas {
		out[i].Delta = d
	}
	return out
}
