package delivery

import (
	"errors"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// formerOf is an entry as it was offered up to now, for what takes its place.
func formerOf(e *journal.Entry) *journal.Former {
	return &journal.Former{Bucket: e.Bucket, Key: e.Key, Version: e.Version, Role: role(e), Partition: partitionName(e), First: e.Batch.First, Last: e.Batch.Last, Next: e.Former}
}

// formerArrived looks, before a replacement is first offered in this life, whether an object arrived after all that was thought
// absent and holds the same records: an attempt may be under way between a killed process and the store for a long time.
// What cannot be found out holds nothing up.
func (w *work) formerArrived() bool {
	if spec, err := w.r.opt.Specs.Spec(w.e.Version); err == nil && spec.Loads {
		return false // that an object is in the store says nothing of the warehouse
	}
	for f, asked := w.e.Former, (*journal.Former)(nil); f != nil; f = f.Next {
		if asked != nil && asked.Bucket == f.Bucket && asked.Key == f.Key && asked.Version == f.Version {
			continue // answered for all that had this key
		}
		asked = f
		if there, err := w.r.arrived(f); err == nil && there {
			w.r.opt.Logger.Warn("an object that was thought lost has arrived; it holds the records of this batch", "batch", w.e.N, "key", f.Key)
			return true
		}
	}
	return false
}

// arrived says whether the store holds a former object, or under its key one that was offered before it and holds more.
func (r *Runner) arrived(f *journal.Former) (there bool, err error) {
	for _, s := range r.sinks(f.Version, r.isAside(f.Role)) {
		found, exists, herr := s.Head(r.ctx, f.Bucket, f.Key)
		if exists && found != nil && r.isFormer(f, f.Bucket, f.Key, found) {
			return true, nil
		}
		err = errors.Join(err, herr)
	}
	return false, err
}

// absent says whether it is proven that nothing stands under a former key.
func (r *Runner) absent(f *journal.Former) bool {
	for _, s := range r.sinks(f.Version, r.isAside(f.Role)) {
		if _, exists, err := s.Head(r.ctx, f.Bucket, f.Key); err != nil || exists {
			return false
		}
	}
	return true
}

// isAside says whether objects of a role lie where records that were set aside go. A manifest lies beside what it names.
func (r *Runner) isAside(role record.Role) bool {
	return role != r.opt.Role && role != record.ErrorRole(manifestType)
}

// sinks are the stores that an object of a version may have been sent to: that version's own, and the newest.
func (r *Runner) sinks(version int, aside bool) []Sink {
	p := Place{Version: version, Aside: aside}
	now := r.opt.Sink(p)
	if version == r.opt.Specs.Current() {
		return []Sink{now}
	}
	p.Own = true
	return []Sink{r.opt.Sink(p), now}
}

// isFormer says whether what was found under a key is one of the former objects that had it.
func (r *Runner) isFormer(f *journal.Former, bucket, key string, found *record.Identity) bool {
	for ; f != nil; f = f.Next {
		if f.Bucket == bucket && f.Key == key && found.Stream == r.opt.Stream && found.Role == f.Role &&
			found.Version == f.Version && found.Partition == f.Partition && found.First == f.First && found.Last == f.Last {
			return true
		}
	}
	return false
}

// hadKey says whether the entry's own key is one of a former object, too, as it is for a first half.
func hadKey(e *journal.Entry) bool {
	for f := e.Former; f != nil; f = f.Next {
		if f.Bucket == e.Bucket && f.Key == e.Key {
			return true
		}
	}
	return false
}
