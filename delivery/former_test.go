package delivery

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// twoStores is a stream whose version 1 went to another store than its version 2.
type twoStores struct{ old, now answersHead }

// answersHead maps a key to what stands there; nil: it cannot be looked at.
type answersHead map[string]*record.Identity

func (a answersHead) Put(context.Context, *record.Object) record.Outcome {
	panic("nothing is offered here")
}

func (a answersHead) Head(_ context.Context, _, key string) (*record.Identity, bool, error) {
	if a == nil {
		return nil, false, errors.New("403")
	}
	id, ok := a[key]
	return id, ok, nil
}

type versionTwo struct{}

func (versionTwo) Current() int            { return 2 }
func (versionTwo) Spec(int) (*Spec, error) { return nil, errors.New("not needed") }

func (s twoStores) runner() *Runner {
	return &Runner{ctx: context.Background(), opt: Options{Stream: "web", Specs: versionTwo{}, Sink: func(p Place) Sink {
		if p.Own {
			return s.old
		}
		return s.now
	}}}
}

func span(first, last record.Position) journal.Entry {
	return journal.Entry{Role: record.RoleMain, Version: 1, Bucket: "b", Key: "k",
		Batch: record.Batch{First: record.ID{Pos: first}, Last: record.ID{Pos: last}}}
}

// TestAbsenceIsAskedWhereTheObjectWent: of the store of its own version, and of the newest.
func TestAbsenceIsAskedWhereTheObjectWent(t *testing.T) {
	id := &record.Identity{Stream: "web", Role: record.RoleMain, Version: 1, First: record.ID{Pos: 1}, Last: record.ID{Pos: 9}}
	e := span(1, 9)
	for name, c := range map[string]struct {
		stores          twoStores
		absent, arrived bool
	}{
		"nowhere":                     {twoStores{answersHead{}, answersHead{}}, true, false},
		"in the old store":            {twoStores{answersHead{"k": id}, answersHead{}}, false, true},
		"in the new store":            {twoStores{answersHead{}, answersHead{"k": id}}, false, true},
		"the old one does not answer": {twoStores{nil, answersHead{}}, false, false},
		"the new one does not answer": {twoStores{answersHead{}, nil}, false, false},
		"somebody else's":             {twoStores{answersHead{"k": nil}, answersHead{}}, false, false},
	} {
		r := c.stores.runner()
		if got := r.absent(formerOf(&e)); got != c.absent {
			t.Errorf("%s: absent %v", name, got)
		}
		if got, _ := r.arrived(formerOf(&e)); got != c.arrived {
			t.Errorf("%s: arrived %v", name, got)
		}
	}
}

// TestFormerObjectsOfAPart: each object that held the part, under its own key and with its own range, and no other.
func TestFormerObjectsOfAPart(t *testing.T) {
	whole, half := span(1, 100), span(51, 100)
	half.Key, half.Former = "h", formerOf(&whole)
	part := span(76, 100)
	part.Key, part.Former = "p", formerOf(&half)
	identity := func(first, last record.Position) *record.Identity {
		return &record.Identity{Stream: "web", Role: record.RoleMain, Version: 1, First: record.ID{Pos: first}, Last: record.ID{Pos: last}}
	}
	other := identity(1, 100)
	other.First.Epoch[3]++
	for name, c := range map[string]struct {
		store answersHead
		want  bool
	}{
		"nothing":                {answersHead{}, false},
		"the whole":              {answersHead{"k": identity(1, 100)}, true},
		"the half":               {answersHead{"h": identity(51, 100)}, true},
		"the other half":         {answersHead{"k": identity(1, 50)}, false},
		"the whole of elsewhere": {answersHead{"k": other}, false},
	} {
		w := &work{r: twoStores{c.store, c.store}.runner(), e: part}
		w.r.opt.Logger = slog.New(slog.DiscardHandler)
		if got := w.formerArrived(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !hadKey(&journal.Entry{Bucket: "b", Key: "k", Former: part.Former}) || hadKey(&part) {
		t.Error("a first half has the key of the whole; a second one has its own")
	}
}
