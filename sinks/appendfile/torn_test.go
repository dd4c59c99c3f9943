package appendfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// A full disk tears the batch; with room again it goes on behind what is there.
func TestDiskFull(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	mustPut(t, s, "f/one", "first\n", 1)
	m.SetCapacity(1 << 20)
	body := strings.Repeat("0123456789abcde\n", 2<<16)
	out := put(s, "f/two", body, 2)
	if out.Kind != record.Retry || out.Code != "File.DiskFull" || !errors.Is(out.Err, syscall.ENOSPC) || out.Unsent {
		t.Fatalf("%+v", out)
	}
	torn := content(t, m, base+"/f")
	if len(torn) < 1<<19 || !strings.HasPrefix("first\n"+body, torn) {
		t.Fatalf("%d bytes", len(torn))
	}
	m.SetCapacity(64 << 20)
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpTruncate {
			t.Error("what a reader may have seen is taken back")
		}
		return nil
	})
	mustPut(t, s, "f/two", body, 2)
	mustHold(t, m, base+"/f", "first\n"+body)
}

// cancelling ends a context while its body is read for the n-th time.
type cancelling struct {
	*bytes.Reader
	reads  int
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	if c.reads--; c.reads == 0 {
		c.cancel()
	}
	return c.Reader.Read(p)
}

// A context that ends while the batch is written leaves a beginning, which the next attempt goes on from.
func TestContextEndsWithin(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	body := strings.Repeat("0123456789abcde\n", 3*chunkBytes/16)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := object("f/n", body, 1)
	o.Body = &cancelling{bytes.NewReader([]byte(body)), 3 + 2, cancel} // three pieces for the checksum
	if out := s.Put(ctx, o); out.Kind != record.Retry || out.Code != "File.Cancelled" || out.Unsent {
		t.Fatalf("%+v", out)
	}
	mustHold(t, m, base+"/f", body[:2*chunkBytes])
	mustPut(t, s, "f/n", body, 1)
	mustHold(t, m, base+"/f", body)
}

// tear leaves the first bytes of a batch in a file, and its intent.
func tear(t *testing.T, m *vfs.Mem, s *Store, o *record.Object, n int) {
	t.Helper()
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasPrefix(op.Name, base) {
			return vfs.ErrShort{N: n, Err: syscall.EIO}
		}
		return nil
	})
	if out := s.Put(context.Background(), o); out.Kind != record.Retry || out.Unsent {
		t.Fatalf("%+v", out)
	}
	m.SetHook(nil)
}

// What becomes of a torn batch, in the same process and in the next.
func TestTornBatch(t *testing.T) {
	const first, body = "first\n", "0123456789"
	cases := map[string]struct {
		there int // bytes of the batch
		do    func(t *testing.T, m *vfs.Mem, s *Store)
		want  string
	}{
		"same batch":                {4, func(t *testing.T, _ *vfs.Mem, s *Store) { mustPut(t, s, "f/two", body, 2) }, first + body},
		"same batch, nothing there": {0, func(t *testing.T, _ *vfs.Mem, s *Store) { mustPut(t, s, "f/two", body, 2) }, first + body},
		"same batch, all there":     {10, func(t *testing.T, _ *vfs.Mem, s *Store) { mustExist(t, s, "f/two", body, 2) }, first + body},
		"same batch in other bytes": {4, func(t *testing.T, _ *vfs.Mem, s *Store) { mustPut(t, s, "f/two", "01x", 2) }, first + "01x"},
		"same batch, longer":        {4, func(t *testing.T, _ *vfs.Mem, s *Store) { mustPut(t, s, "f/two", body+"more", 2) }, first + body + "more"},
		"same batch, shorter":       {4, func(t *testing.T, _ *vfs.Mem, s *Store) { mustPut(t, s, "f/two", "012", 2) }, first + "012"},
		"another batch": {4, func(t *testing.T, _ *vfs.Mem, s *Store) {
			mustPut(t, s, "f/three", "x", 3)
			mustPut(t, s, "f/two", body, 2)
		}, first + "x" + body},
		"another batch, all there": {10, func(t *testing.T, _ *vfs.Mem, s *Store) {
			mustPut(t, s, "f/three", "x", 3)
			mustExist(t, s, "f/two", body, 2)
		}, first + body + "x"},
		"head":            {4, func(t *testing.T, _ *vfs.Mem, s *Store) { mustHead(t, s, "f/two", 0) }, first},
		"head, all there": {10, func(t *testing.T, _ *vfs.Mem, s *Store) { mustHead(t, s, "f/two", 2) }, first + body},
		"head of another": {4, func(t *testing.T, _ *vfs.Mem, s *Store) {
			mustHead(t, s, "f/three", 0)
			mustHead(t, s, "f/one", 1)
		}, first + "0123"},
		"cut by others": {4, func(t *testing.T, m *vfs.Mem, s *Store) {
			overwrite(t, m, base+"/f", "new")
			mustPut(t, s, "f/two", body, 2)
		}, "new" + body},
		"appended to by others": {4, func(t *testing.T, m *vfs.Mem, s *Store) {
			overwrite(t, m, base+"/f", first+"0123"+"something of theirs")
			mustPut(t, s, "f/two", body, 2)
		}, first + "0123" + "something of theirs" + body},
		"appended to by others, all there": {10, func(t *testing.T, m *vfs.Mem, s *Store) {
			overwrite(t, m, base+"/f", first+body+"theirs")
			mustExist(t, s, "f/two", body, 2)
			mustPut(t, s, "f/three", "x", 3)
		}, first + body + "theirs" + "x"},
		"removed": {4, func(t *testing.T, m *vfs.Mem, s *Store) {
			must(t, m.Remove(base+"/f"))
			mustHead(t, s, "f/two", 0)
			mustPut(t, s, "f/two", body, 2)
		}, body},
		"cut back, then appended to by others": {4, func(t *testing.T, m *vfs.Mem, s *Store) {
			mustHead(t, s, "f/two", 0)
			overwrite(t, m, base+"/f", first+"th")
			mustPut(t, s, "f/three", "x", 3)
		}, first + "th" + "x"},
	}
	for name, c := range cases {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				m := newMem(t)
				s := open(t, m)
				mustPut(t, s, "f/one", first, 1)
				tear(t, m, s, object("f/two", body, 2), c.there)
				if restart {
					m = m.KillClone()
					s = open(t, m)
				}
				c.do(t, m, s)
				mustHold(t, m, base+"/f", c.want)
				after := m.CrashClone(vfs.CrashOptions{})
				if name != "head of another" { // which must not touch it
					mustHold(t, after, base+"/f", c.want)
				}
				mustExist(t, open(t, after), "f/one", first, 1)
			})
		}
	}
}

// mustHead asks for a batch; n is whose it is, 0 for none.
func mustHead(t *testing.T, s *Store, key string, n int) {
	t.Helper()
	found, exists, err := s.Head(context.Background(), "", key)
	if err != nil || exists != (n > 0) || n > 0 && *found != sinktest.Identity(n) {
		t.Fatalf("head of %q: %v %v %v", key, found, exists, err)
	}
}

// overwrite is what another program does to a file.
func overwrite(t *testing.T, m *vfs.Mem, name, text string) {
	t.Helper()
	h, err := m.Open(name)
	must(t, err)
	must(t, h.Truncate(0))
	_, err = h.WriteAt([]byte(text), 0)
	must(t, err)
	must(t, h.Sync())
	must(t, h.Close())
}

// Another program rotates the file, by renaming or by truncating it, or appends to it.
func TestOthersChangeTheFile(t *testing.T) {
	m := newMem(t)
	var logged bytes.Buffer
	s := open(t, m, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	mustPut(t, s, "f/1", "one\n", 1)
	must(t, m.Rename(base+"/f", base+"/f.moved"))
	mustPut(t, s, "f/2", "two\n", 2)
	mustHold(t, m, base+"/f.moved", "one\n")
	overwrite(t, m, base+"/f", "")
	mustPut(t, s, "f/3", "three\n", 3)
	overwrite(t, m, base+"/f", "three\ntheirs\n")
	mustPut(t, s, "f/4", "four\n", 4)
	mustHold(t, m.CrashClone(vfs.CrashOptions{}), base+"/f", "three\ntheirs\nfour\n")
	for i, body := range []string{"one\n", "two\n", "three\n", "four\n"} {
		mustExist(t, s, fmt.Sprintf("f/%d", i+1), body, i+1)
	}
	if n := strings.Count(logged.String(), "\n"); n != 1 {
		t.Errorf("%d lines are logged:\n%s", n, logged.String())
	}
}

// A file that was there before is appended to; it is not taken for changed.
func TestFileThatWasThere(t *testing.T) {
	m := newMem(t)
	var logged bytes.Buffer
	s := open(t, m, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	h, err := m.Create(base + "/f")
	must(t, err)
	must(t, h.Close())
	overwrite(t, m, base+"/f", "old\n")
	mustPut(t, s, "f/1", "one\n", 1)
	mustHold(t, m.CrashClone(vfs.CrashOptions{}), base+"/f", "old\none\n")
	if logged.Len() > 0 {
		t.Error(logged.String())
	}
}
