package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hydrant/internal/vfs"
)

// streamFolder is the folder of the only stream of that name.
func (w *world) streamFolder(name string) string {
	w.t.Helper()
	names, err := w.mem.ReadDir(dataDir + "/streams")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, name+"~") {
			return dataDir + "/streams/" + strings.TrimSuffix(n, "/")
		}
	}
	w.t.Fatalf("no folder of stream %s: %v", name, names)
	return ""
}

// badSector lets every read of a segment fail that takes the byte at off.
func (w *world) badSector(off int64) {
	w.mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, ".seg") && op.Off <= off && op.Off+int64(op.N) > off {
			return syscall.EIO
		}
		return nil
	})
}

// delivered counts the records that were acknowledged, and those of them that reached the stream's bucket.
func (w *world) delivered(stream string) (acknowledged, arrived int) {
	there := map[string]bool{}
	for _, name := range w.store.list("b-" + stream) {
		for _, l := range w.store.get(name).lines(w.t) {
			there[l] = true
		}
	}
	for r, told := range w.told {
		if told && w.where[r] == stream {
			acknowledged++
			if there[r] {
				arrived++
			}
		}
	}
	return acknowledged, arrived
}

// checkBadSector: all but what shares a page with the sector was delivered, nothing waits, and the copy is kept.
func (w *world) checkBadSector(stream string) {
	w.t.Helper()
	for _, s := range w.d.Statuses() {
		if s.BacklogBytes > 0 {
			w.t.Errorf("stuck: %+v", s)
		}
	}
	all, arrived := w.delivered(stream)
	if lost := all - arrived; lost == 0 || lost > 60 {
		w.t.Errorf("%d of %d records were lost with one page", lost, all)
	}
	copies, err := w.mem.ReadDir(w.streamFolder(stream) + "/damaged")
	if err != nil || len(copies) == 0 {
		w.t.Errorf("copies of what was damaged: %v, %v", copies, err)
	}
}

func TestSectorUnreadableAtStart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		w.open(small("web"))
		for range 60 {
			w.mustPut("web", 3)
		}
		w.sleep(time.Minute)
		w.cut(true, 0)
		w.badSector(4096 + 2*4096 + 100)
		w.store.set(weather{})
		w.open()
		w.sleep(time.Hour)
		w.mustPut("web", 3)
		w.sleep(time.Hour)
		w.checkBadSector("web")
		w.stop(time.Minute)
	})
}

func TestSectorBecomesUnreadable(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		w.badSector(4096 + 2*4096 + 100)
		w.open(small("web"))
		for range 60 {
			w.mustPut("web", 3)
		}
		w.store.set(weather{})
		w.sleep(10 * time.Hour)
		w.checkBadSector("web")
		w.stop(time.Minute)
	})
}

// damageLog overwrites a part of a stream's first segment.
func (w *world) damageLog(stream string) {
	w.t.Helper()
	dir := w.streamFolder(stream) + "/log"
	segs, err := w.mem.ReadDir(dir)
	if err != nil || len(segs) == 0 {
		w.t.Fatal(segs, err)
	}
	f, err := w.mem.Open(path.Join(dir, segs[0]))
	if err == nil {
		_, err = f.WriteAt([]byte("garbage!garbage!"), 4096+2048)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// The copy of a damaged stretch is the last of records that were acknowledged: it outlives its stream, whichever way that goes.
func TestDamagedCopyOutlivesItsStream(t *testing.T) {
	for _, way := range []string{"left the configuration", "deleted", "deleted by force"} {
		t.Run(way, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.store.set(weather{fail: 1})
				w.open(small("other"))
				w.create("web")
				if way == "left the configuration" {
					w.stop(time.Second)
					w.cfg.Streams = append(w.cfg.Streams, small("yaml"))
					w.open()
				}
				name := map[bool]string{true: "yaml", false: "web"}[way == "left the configuration"]
				for range 40 {
					w.mustPut(name, 3)
				}
				w.sleep(time.Minute)
				w.cut(true, 0)
				w.damageLog(name)
				folder := w.streamFolder(name)
				w.store.set(weather{})
				w.cfg.Streams = w.cfg.Streams[:1]
				w.open()
				w.sleep(time.Hour)
				if name == "web" {
					if err := w.d.Delete(t.Context(), name, strings.HasSuffix(way, "force")); err != nil {
						t.Fatal(err)
					}
				}
				w.sleep(time.Hour)
				if ok, _ := w.mem.Exists(folder); ok {
					t.Error("the stream's folder is still there")
				}
				w.cut(false, 0)
				copies, err := w.mem.ReadDir(dataDir + "/damaged/" + path.Base(folder))
				if err != nil || len(copies) != 1 {
					t.Errorf("copies after a power cut: %v, %v", copies, err)
				}
				w.open()
				w.stop(time.Minute)
			})
		})
	}
}

// catalogWithDamage is a catalog with one stream that keeps a copy of damage.
func catalogWithDamage(t *testing.T, mem *vfs.Mem) (*catalog, *meta) {
	t.Helper()
	c := &catalog{fs: mem, dir: dataDir + "/streams"}
	m := newMeta(small("web"), ownerAPI, time.Now())
	dir := c.folder(m)
	for _, d := range []string{"log", "damaged"} {
		if err := vfs.MkdirAll(mem, path.Join(dir, d)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"log/0000000000000001.seg", "damaged/x", "main-a.journal"} {
		if err := vfs.WriteFileAtomic(mem, path.Join(dir, f), []byte(f)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.save(m); err != nil {
		t.Fatal(err)
	}
	return c, m
}

// A power cut at any write of a removal leaves what the next start finishes, and the copy of what was damaged in one of its places.
func TestPowerCutWhileAStreamIsRemoved(t *testing.T) {
	for _, keep := range []float64{0, 0.3, 0.7, 1} {
		for n := 1; ; n++ {
			mem := vfs.NewMem()
			c, m := catalogWithDamage(t, mem)
			mem.CrashAt(mem.Ops() + n)
			_ = c.remove(m)
			ended := !mem.Crashed()
			c.fs = mem.CrashClone(vfs.CrashOptions{Rand: rand.New(rand.NewSource(int64(n))), KeepUnsynced: keep})
			if ended {
				c.fs = mem.CrashClone(vfs.CrashOptions{})
			}
			report := func(folder string, err error) { t.Errorf("cut at write %d: %s: %v", n, folder, err) }
			all, err := c.load(report)
			if err != nil {
				t.Fatal(err)
			}
			active := false
			for _, m := range all {
				if active = m.Status == statusActive; active {
					err = c.remove(m) // the removal was not stored yet
				} else {
					err = c.clear(m)
				}
				if err != nil {
					t.Errorf("cut at write %d: %v", n, err)
				}
			}
			names, err := c.fs.ReadDir(c.dir)
			if err != nil || len(names) > 0 {
				t.Errorf("cut at write %d: %v is left, %v", n, names, err)
			}
			kept, err := vfs.ReadFile(c.fs, path.Join(dataDir, "damaged", path.Base(c.folder(m)), "x"), 100)
			if err != nil || string(kept) != "damaged/x" {
				t.Errorf("cut at write %d, keep %v: the copy is %q, %v", n, keep, kept, err)
			}
			if t.Failed() || ended {
				break
			}
		}
	}
}

func TestEmptyDamagedFolderIsNotKept(t *testing.T) {
	mem := vfs.NewMem()
	c, m := catalogWithDamage(t, mem)
	if err := mem.Remove(c.folder(m) + "/damaged/x"); err != nil {
		t.Fatal(err)
	}
	if err := c.remove(m); err != nil {
		t.Fatal(err)
	}
	if ok, _ := mem.Exists(dataDir + "/damaged"); ok {
		t.Error("a folder was made for nothing")
	}
}

// The second stream's copies do not take the place of the first one's where the folder has the same name.
func TestDamagedFoldersDoNotReplaceOneAnother(t *testing.T) {
	mem := vfs.NewMem()
	c, m := catalogWithDamage(t, mem)
	kept := path.Join(dataDir, "damaged", path.Base(c.folder(m)))
	if err := vfs.MkdirAll(mem, kept); err != nil {
		t.Fatal(err)
	}
	if err := c.remove(m); err != nil {
		t.Fatal(err)
	}
	if names, err := mem.ReadDir(kept + "-2"); err != nil || len(names) != 1 {
		t.Error(names, err)
	}
}

// Only what a stream's making leaves is removed; everything else in streams/ is somebody's.
func TestForeignFoldersAreLeftAlone(t *testing.T) {
	for _, c := range []struct {
		file    string // a folder when it ends with "/"
		removed bool
	}{
		{"web~0123abcd/", true},
		{"web~0123abcd/stream.json.tmp", true},
		{"web~0123abcd/log/", true},
		{"web~0123abcd/main-a.journal", true},
		{"web~0123abcd/log/0000000000000001.seg", false},
		{"web~0123abcd/log/anything", false},
		{"web~0123abcd/damaged/x", false},
		{"web~0123abcd/notes.txt", false},
		{"web~0123abcd/x.journal/precious", false},
		{"lost+found/", false},
		{"lost+found/#123", false},
		{"parked/web~0123abcd/log/0000000000000001.seg", false},
		{"web/", false},
		{"web~0123abc/", false},
		{"web~0123abcdef/", false},
		{"web~0123ABCD/", false},
		{"web~0123abcx/", false},
		{"~0123abcd/", false},
		{"web~0123abcd.old/", false},
	} {
		t.Run(c.file, func(t *testing.T) {
			inWorld(t, func(w *world) {
				name := dataDir + "/streams/" + c.file
				folder := name
				if !strings.HasSuffix(name, "/") {
					folder = path.Dir(name)
				}
				err := vfs.MkdirAll(w.mem, folder)
				if err == nil && folder != name {
					err = vfs.WriteFileAtomic(w.mem, name, []byte("records"))
				}
				if err != nil {
					t.Fatal(err)
				}
				w.open(small("x"))
				w.mustPut("x", 1)
				if ok, _ := w.mem.Exists(name); ok == c.removed {
					t.Errorf("it is there: %v", ok)
				}
				top, _, _ := strings.Cut(c.file, "/")
				if ok, _ := w.mem.Exists(dataDir + "/streams/" + top); ok == c.removed {
					t.Errorf("its folder is there: %v", ok)
				}
				w.stop(time.Minute)
			})
		})
	}
}

func TestUnreadableUploadListDoesNotPreventAStart(t *testing.T) {
	for name, damage := range map[string]func(w *world, list string) error{
		"too large": func(w *world, list string) error { return vfs.WriteFileAtomic(w.mem, list, make([]byte, maxMeta+1)) },
		"no list":   func(w *world, list string) error { return vfs.WriteFileAtomic(w.mem, list, []byte(`{"a":1}`)) },
		"unreadable": func(w *world, list string) error {
			w.mem.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.OpRead && op.Name == list {
					return syscall.EIO
				}
				return nil
			})
			return vfs.WriteFileAtomic(w.mem, list, []byte("[]"))
		},
		"unreadable, and cannot be moved": func(w *world, list string) error {
			w.mem.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.OpRead && op.Name == list || op.Kind == vfs.OpRename && strings.HasPrefix(op.To, list+".") {
					return syscall.EIO
				}
				return nil
			})
			return vfs.WriteFileAtomic(w.mem, list, []byte("[]"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(small("web"))
				w.stop(time.Second)
				list := dataDir + "/uploads.json"
				if err := damage(w, list); err != nil {
					t.Fatal(err)
				}
				w.open()
				w.mustPut("web", 1)
				w.stop(time.Minute)
				w.check()
				if ok, _ := w.mem.Exists(list + ".damaged"); !ok && !strings.Contains(name, "cannot be moved") {
					t.Error("the list was not kept")
				}
			})
		})
	}
}

// The list of uploads is bounded: the oldest go, and the log names them.
func TestUploadListIsBounded(t *testing.T) {
	mem := vfs.NewMem()
	var said strings.Builder
	u, left, err := loadUploads(mem, "uploads.json", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil || left != nil {
		t.Fatal(left, err)
	}
	for i := range maxUploads + 3 {
		if err := u.began(upload{Bucket: "b", Key: "k", ID: fmt.Sprint("id-", i)}); err != nil {
			t.Fatal(err)
		}
	}
	u.ended("id-500")
	if err := u.began(upload{Bucket: "b", Key: "k", ID: "id-7"}); err != nil { // again: it counts once, as the newest
		t.Fatal(err)
	}
	_, left, err = loadUploads(mem, "uploads.json", nil)
	if err != nil || len(left) != maxUploads-1 || left[0].ID != "id-3" || left[len(left)-1].ID != "id-7" {
		t.Errorf("%d uploads, %v", len(left), err)
	}
	if slices.ContainsFunc(left, func(l upload) bool { return l.ID == "id-500" }) {
		t.Error("an upload that ended is in the list")
	}
	for _, id := range []string{"id-0", "id-1", "id-2"} {
		if !strings.Contains(said.String(), "upload="+id+"\n") {
			t.Errorf("that %s was dropped is not logged", id)
		}
	}
	if _, err := mem.ReadDir("uploads.json.damaged"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
