package infer

import (
	"testing"

	"hydrant/config/schema"
	"hydrant/internal/vfs"
)

// TestSchemaThatAKilledProcessLeft: a process that was killed between naming the file and syncing the name leaves a schema that can be
// read and is not durable. Once it is handed out, batches are written under it: a power cut must not take it back.
func TestSchemaThatAKilledProcessLeft(t *testing.T) {
	cols := []schema.Column{{Name: "a", Type: &schema.Type{Kind: schema.BigInt}}}
	for n := 1; n < 20; n++ {
		m := vfs.NewMem()
		m.CrashAt(n)
		s, err := OpenStore(m, "/schemas.json")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Set(cols)
		m.Crash()
		m = m.KillClone()
		again, err := OpenStore(m, "/schemas.json")
		if err != nil {
			t.Fatalf("crash at write %d: %v", n, err)
		}
		v, ok := again.Latest()
		if !ok {
			continue
		}
		last, err := OpenStore(m.CrashClone(vfs.CrashOptions{}), "/schemas.json")
		if err != nil {
			t.Fatalf("crash at write %d: %v", n, err)
		}
		if w, ok := last.Get(v.Number); !ok || !schema.Equal(w.Columns, cols) {
			t.Fatalf("crash at write %d: version %d was handed out, and is gone after a power cut", n, v.Number)
		}
	}
}
