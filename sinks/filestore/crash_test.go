package filestore

import (
	"context"
	"fmt"
	"math/rand"
	"syscall"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// script is what the crash tests put: new hours, a second object in one, names that collide.
func script() []*record.Object {
	var objects []*record.Object
	for i, key := range []string{"2026/11/21/09/one", "2026/11/21/10/two", "2026/11/21/10/three", "a", "a/b", "c/d", "c"} {
		objects = append(objects, object(key, "body of "+key, i+1))
	}
	return objects
}

func run(s *Store, objects []*record.Object) (outs []record.Outcome) {
	for _, o := range objects {
		outs = append(outs, s.Put(context.Background(), o))
	}
	return outs
}

// check: what was delivered is there; what is there is whole and known.
func check(t *testing.T, f vfs.FS, objects []*record.Object, outs []record.Outcome) {
	t.Helper()
	s := New(f, data)
	for i, o := range objects {
		found, exists, err := s.Head(context.Background(), o.Bucket, o.Key)
		if err != nil {
			t.Fatalf("head %q: %v", o.Key, err)
		}
		if !exists && outs[i].Kind == record.Delivered {
			t.Fatalf("%q was delivered and is gone", o.Key)
		}
		if !exists {
			continue
		}
		if got, _ := read(t, s, o.Bucket, o.Key); string(got) != "body of "+o.Key || found == nil || *found != o.Identity {
			t.Fatalf("%q: %q of %v", o.Key, got, found)
		}
	}
}

// redo replays everything, as delivery does after a start, and then cuts the power once more.
func redo(t *testing.T, m *vfs.Mem, objects []*record.Object) {
	t.Helper()
	s := New(m, data)
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	outs := run(s, objects)
	for i, out := range outs {
		if out.Kind == record.Exists && out.Found != nil && *out.Found == objects[i].Identity {
			outs[i].Kind = record.Delivered // as delivery counts it
		}
		if outs[i].Kind != record.Delivered {
			t.Fatalf("replay of %q: %+v", objects[i].Key, out)
		}
	}
	if left, err := m.ReadDir(data + "/s3-meta/tmp"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	check(t, m.CrashClone(vfs.CrashOptions{}), objects, outs)
}

// The machine dies at every single operation, and of what was not synced nothing, something or everything is left; or only the process dies.
func TestCrashEverywhere(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	for n := 1; ; n++ {
		m := newMem(t)
		base := m.Ops()
		m.CrashAt(base + n)
		objects := script()
		outs := run(New(m, data), objects)
		if !m.Crashed() {
			if n < 50 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
		clones := map[string]*vfs.Mem{"kill": m.KillClone()}
		for _, keep := range []float64{0, 0.3, 0.7, 1} {
			clones[fmt.Sprintf("power cut, %v kept", keep)] = m.CrashClone(vfs.CrashOptions{Rand: rand.New(rand.NewSource(seed + int64(n))), KeepUnsynced: keep})
		}
		for how, after := range clones {
			t.Run(fmt.Sprintf("operation %d, %s", n, how), func(t *testing.T) {
				check(t, after, objects, outs)
				redo(t, after, objects)
			})
		}
	}
}

// Every single operation fails once; the store goes on in the same process.
func TestFailureEverywhere(t *testing.T) {
	for n := 1; ; n++ {
		m := newMem(t)
		at, failed := m.Ops()+n, false
		m.SetHook(func(op vfs.Op) error {
			if op.Seq == at && op.Kind <= vfs.OpTruncate && !failed {
				failed = true
				return syscall.EIO
			}
			return nil
		})
		s, objects := New(m, data), script()
		for i, o := range objects {
			out := s.Put(context.Background(), o)
			if out.Kind == record.Retry {
				out = s.Put(context.Background(), o)
			}
			if out.Kind != record.Delivered && (out.Kind != record.Exists || out.Found == nil || *out.Found != sinktest.Identity(i+1)) {
				t.Fatalf("operation %d fails: %q: %+v", n, o.Key, out)
			}
		}
		outs := make([]record.Outcome, len(objects))
		for i := range outs {
			outs[i].Kind = record.Delivered
		}
		check(t, m.CrashClone(vfs.CrashOptions{}), objects, outs)
		if !failed {
			return
		}
	}
}
