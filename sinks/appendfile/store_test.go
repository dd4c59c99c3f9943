package appendfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/internal/vfs"
	"hydrant/record"
)

const base = "/base"

func newMem(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	must(t, vfs.MkdirAll(m, base))
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, f vfs.FS, change ...func(*Options)) *Store {
	t.Helper()
	o := Options{FS: f, StateDir: "/state/files", Base: base}
	for _, c := range change {
		c(&o)
	}
	s, err := New(o)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func object(key, body string, n int) *record.Object {
	return sinktest.Object(key, []byte(body), sinktest.Identity(n))
}

func put(s *Store, key, body string, n int) record.Outcome {
	return s.Put(context.Background(), object(key, body, n))
}

func mustPut(t testing.TB, s *Store, key, body string, n int) {
	t.Helper()
	if out := put(s, key, body, n); out.Kind != record.Delivered {
		t.Fatalf("%q: %+v", key, out)
	}
}

// mustExist puts a batch that arrived already.
func mustExist(t testing.TB, s *Store, key, body string, n int) {
	t.Helper()
	out := put(s, key, body, n)
	if out.Kind != record.Exists || out.Found == nil || *out.Found != sinktest.Identity(n) {
		t.Fatalf("%q: %+v, want exists", key, out)
	}
}

func content(t testing.TB, f vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(f, name, 1<<30)
	must(t, err)
	return string(b)
}

func mustHold(t testing.TB, f vfs.FS, name, want string) {
	t.Helper()
	if got := content(t, f, name); got != want {
		t.Fatalf("%s holds %d bytes %.60q, want %d bytes %.60q", name, len(got), got, len(want), want)
	}
}

// alone gives every key of the contract's suite a file of its own, so that what stands under a key can be read back. How long a key may be is S3's rule,
// which it answers in place of the store.
type alone struct{ *Store }

func (a alone) key(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "files/" + hex.EncodeToString(sum[:]) + "/" + strings.ReplaceAll(key, "/", "|")
}

func (a alone) Put(ctx context.Context, o *record.Object) record.Outcome {
	if len(o.Key) > 1024 {
		return record.Outcome{Kind: record.Rejected, Code: "S3.KeyTooLongError", Err: errTooLong}
	}
	mine := *o
	mine.Key = a.key(o.Key)
	return a.Store.Put(ctx, &mine)
}

func (a alone) Head(ctx context.Context, bucket, key string) (*record.Identity, bool, error) {
	return a.Store.Head(ctx, bucket, a.key(key))
}

func (a alone) read(t *testing.T, key string) ([]byte, bool) {
	file, _, err := a.With(Rotation{}).split(a.key(key))
	must(t, err)
	there, err := a.fs.Exists(file)
	must(t, err)
	if !there {
		return nil, false
	}
	return []byte(content(t, a.fs, file)), true
}

func subject(t *testing.T, s *Store) sinktest.Subject {
	return sinktest.Subject{Store: alone{s}, Read: func(_, key string) ([]byte, bool) { return alone{s}.read(t, key) }}
}

func TestContractInMemory(t *testing.T) {
	sinktest.RunObjectStore(t, func(t *testing.T) sinktest.Subject {
		m := newMem(t)
		s := subject(t, open(t, m))
		s.FailOnce = func() {
			m.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, "/state") { // of the intent, after all of the body was read for its checksum
					m.SetHook(nil)
					return syscall.EIO
				}
				return nil
			})
		}
		return s
	})
}

func onDisk(t *testing.T) (*Store, string) {
	dir := t.TempDir()
	return open(t, vfs.NewOS(), func(o *Options) { o.StateDir, o.Base = dir+"/state", dir+"/out" }), dir
}

func TestContractOnDisk(t *testing.T) {
	sinktest.RunObjectStore(t, func(t *testing.T) sinktest.Subject {
		s, _ := onDisk(t)
		return subject(t, s)
	})
}

func TestAppends(t *testing.T) {
	s, dir := onDisk(t)
	mustPut(t, s, "a/b/events.log/one", "1\n", 1)
	mustPut(t, s, "a/b/events.log/two", "22\n", 2)
	mustPut(t, s, dir+"/elsewhere/x.log/one", "3\n", 3)
	mustExist(t, s, "a/b/events.log/one", "1\n", 1)
	must(t, s.Close())
	if out := put(s, "a/b/events.log/three", "x", 3); out.Kind != record.Retry || out.Code != "File.Closed" || !out.Unsent {
		t.Errorf("after close: %+v", out)
	}
	again, err := New(s.o)
	must(t, err)
	defer again.Close()
	mustExist(t, again, "a/b/events.log/two", "22\n", 2)
	mustPut(t, again, "a//b/events.log/three", "333\n", 3) // the same file
	mustHold(t, s.fs, dir+"/out/a/b/events.log", "1\n22\n333\n")
	mustHold(t, s.fs, dir+"/elsewhere/x.log", "3\n")
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {StateDir: "/s"}, {Base: "/b"}, {StateDir: "/s", Base: "/b", Rotation: Rotation{Keep: -1}}, {StateDir: "/s", Base: "/b", Rotation: Rotation{Size: -1}}} {
		o.FS = vfs.NewMem()
		if _, err := New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := open(t, newMem(t), func(o *Options) { o.Size = 1 << 20 })
	for key, code := range map[string]string{
		"": "InvalidKey", "name": "InvalidKey", "/name": "InvalidKey", "path/": "InvalidKey",
		"a/../../etc/passwd/n": "InvalidPath", "/var/log/../x/n": "InvalidPath", "./x/n": "InvalidPath", "a\x00b/n": "InvalidPath",
		"/var/log//n": "InvalidPath", "//n": "InvalidPath",
		strings.Repeat("d/", 2600) + "f/n": "NameTooLong", strings.Repeat("n", 250) + "/n": "NameTooLong",
	} {
		out := put(s, key, "x", 1)
		if out.Kind != record.Rejected || out.Code != "File."+code || out.Err == nil {
			t.Errorf("%.40q: %+v, want rejected as %s", key, out, code)
		}
		if found, exists, err := s.Head(context.Background(), "", key); found != nil || exists || err != nil {
			t.Errorf("head of %.40q: %v %v %v", key, found, exists, err)
		}
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	s, dir := onDisk(t)
	must(t, os.MkdirAll(dir+"/out/folder", 0o755))
	must(t, os.WriteFile(dir+"/out/file", nil, 0o600))
	for key, code := range map[string]string{"folder/n": "IsADirectory", "file/below/n": "NotADirectory"} {
		if out := put(s, key, "x", 1); out.Kind != record.Retry || out.Code != "File."+code || !out.Unsent {
			t.Errorf("%s: %+v", key, out)
		}
	}
	if out := put(s, strings.Repeat("n", 300)+"/n", "x", 1); out.Kind != record.Rejected || out.Code != "File.NameTooLong" {
		t.Errorf("%+v", out)
	}
	short := object("short/n", "four", 1)
	short.Size = 5
	if out := s.Put(context.Background(), short); out.Kind != record.Retry || out.Code != "File.ReadFailed" || !out.Unsent {
		t.Errorf("%+v", out)
	}
}

func TestCodes(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EACCES: "AccessDenied", syscall.EPERM: "AccessDenied", syscall.EROFS: "AccessDenied", syscall.EDQUOT: "DiskFull",
		syscall.EIO: "IOError", context.Canceled: "Cancelled", context.DeadlineExceeded: "RequestTimeout",
		fmt.Errorf("%w: %w", errSidecar, syscall.ENAMETOOLONG): "IOError",
	} {
		if out := failed(err, true); out.Kind != record.Retry || out.Code != "File."+want || out.Unsent {
			t.Errorf("%v: %+v", err, out)
		}
	}
}

// More files than are kept open, many at once; each batch twice.
func TestManyFiles(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	const files, batches, workers = 200, 3, 16
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for b := range batches {
				for f := w % 8; f < files; f += 8 { // two workers put the same
					out := put(s, fmt.Sprintf("f%d/b%d", f, b), fmt.Sprintf("%d of %d\n", b, f), b+1)
					if out.Kind != record.Delivered && out.Kind != record.Exists {
						t.Errorf("%+v", out)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.files.m); n > maxFiles {
		t.Errorf("%d files are open", n)
	}
	after := m.CrashClone(vfs.CrashOptions{})
	for f := range files {
		var want string
		for b := range batches {
			want += fmt.Sprintf("%d of %d\n", b, f)
		}
		mustHold(t, after, fmt.Sprintf("%s/f%d", base, f), want)
	}
	must(t, s.Close())
	if len(s.files.m) != 0 {
		t.Errorf("%d files are open after close", len(s.files.m))
	}
}

// The last 1024 batches are known, across compactions of the sidecar, in this process and the next.
func TestManyBatches(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	const n = 2*maxLines + 5
	for i := range n {
		mustPut(t, s, fmt.Sprintf("f/%d", i), "x", i+1)
	}
	size := len(content(t, m, s.sidecarName(base+"/f")))
	for range 2 {
		for i := n - maxKnown; i < n; i++ {
			mustExist(t, s, fmt.Sprintf("f/%d", i), "x", i+1)
		}
		mustHead(t, s, fmt.Sprintf("f/%d", n-maxKnown-1), 0)
		m = m.CrashClone(vfs.CrashOptions{})
		s = open(t, m)
	}
	if again := len(content(t, m, s.sidecarName(base+"/f"))); size > 2<<20 || again > size {
		t.Errorf("the sidecar takes %d bytes, and %d when it is written anew", size, again)
	}
}

// A waiting caller gives up when its context ends, though another has the file's turn.
func TestTurnHonoursContext(t *testing.T) {
	s := open(t, newMem(t))
	e, err := s.files.lock(context.Background(), base+"/f")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if out := s.Put(ctx, object("f/n", "x", 1)); out.Kind != record.Retry || out.Code != "File.Cancelled" || !out.Unsent {
		t.Errorf("%+v", out)
	}
	if _, _, err := s.Head(ctx, "", "f/n"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.files.unlock(e)
	mustPut(t, s, "f/n", "x", 1)
}

func TestFolderThatMayNotBeWritten(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpCreate && filepath.Dir(op.Name) == base {
			return syscall.EACCES
		}
		return nil
	})
	if out := put(s, "f/n", "x", 1); out.Kind != record.Retry || out.Code != "File.AccessDenied" || !out.Unsent {
		t.Errorf("%+v", out)
	}
	m.SetHook(nil)
	mustPut(t, s, "f/n", "x", 1)
}
