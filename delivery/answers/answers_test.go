package answers

import (
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

func line(i int) []byte {
	return []byte(fmt.Sprintf(`{"n":%d,"pad":%q}`+"\n", i, strings.Repeat("x", i%300)))
}

func folder(t *testing.T) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	if err := vfs.MkdirAll(mem, "/d"); err != nil {
		t.Fatal(err)
	}
	return mem
}

func write(s *Store, name string, n int) error {
	w := s.Create(name)
	for i := range n {
		if err := w.Add(Answer{Pos: record.Position(i + 1), Sub: uint16(i % 3), Sum: uint64(i) << 40, Line: line(i)}); err != nil {
			w.Abort()
			return err
		}
	}
	return w.Commit()
}

func readAll(s *Store, name string) (n int, err error) {
	err = s.Read(name, func(a Answer) error {
		if a.Pos != record.Position(n+1) || a.Sub != uint16(n%3) || a.Sum != uint64(n)<<40 || string(a.Line) != string(line(n)) {
			return fmt.Errorf("answer %d came back as %+v", n, a)
		}
		n++
		return nil
	})
	return n, err
}

func TestAnswersComeBack(t *testing.T) {
	s := New(folder(t), "/d/answers")
	for i, n := range []int{1, 2, 2000} {
		name := fmt.Sprint("main-", i)
		if err := write(s, name, n); err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(s, name); err != nil || got != n {
			t.Errorf("%d of %d: %v", got, n, err)
		}
	}
	if err := write(s, "main-0", 3); err != nil { // what an earlier life left under a name is replaced
		t.Fatal(err)
	}
	if got, err := readAll(s, "main-0"); err != nil || got != 3 {
		t.Errorf("%d: %v", got, err)
	}
}

func TestNothingBeforeTheFirst(t *testing.T) {
	mem := folder(t)
	s := New(mem, "/d/answers")
	s.Create("x").Abort()
	s.Keep(nil)
	s.Remove("x")
	if ok, _ := mem.Exists("/d/answers"); ok {
		t.Error("a folder was made")
	}
	if err := s.Read("x", nil); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestKeep(t *testing.T) {
	mem := folder(t)
	s := New(mem, "/d/answers")
	for _, n := range []string{"a", "b", "c"} {
		if err := write(s, n, 2); err != nil {
			t.Fatal(err)
		}
	}
	big := s.Create("d")
	for i := range 1000 {
		if err := big.Add(Answer{Pos: 1, Line: line(i)}); err != nil {
			t.Fatal(err)
		}
	}
	big.Abort()
	s.Keep(map[string]bool{"b": true})
	names, err := mem.ReadDir("/d/answers")
	if err != nil || fmt.Sprint(names) != "[b.answers]" {
		t.Errorf("%v %v", names, err)
	}
}

// TestDamage: a file that is not whole is told from a whole one, wherever a byte is wrong or missing.
func TestDamage(t *testing.T) {
	mem := folder(t)
	s := New(mem, "/d/answers")
	if err := write(s, "x", 5); err != nil {
		t.Fatal(err)
	}
	f, err := mem.Open("/d/answers/x.answers")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	for at := range size {
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(s, "x"); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d: %v", at, err)
		}
		b[0] ^= 1
		_, _ = f.WriteAt(b[:], at)
	}
	for cut := size - 1; cut >= 0; cut -= 7 {
		if err := f.Truncate(cut); err != nil {
			t.Fatal(err)
		}
		if n, err := readAll(s, "x"); err == nil && n == 5 {
			t.Errorf("cut at %d was not noticed", cut)
		}
	}
}

// TestCrash: after a power cut at any write, a committed file is whole.
func TestCrash(t *testing.T) {
	for n := 1; ; n++ {
		mem := folder(t)
		mem.CrashAt(mem.Ops() + n)
		err := write(New(mem, "/d/answers"), "x", 700)
		crashed := mem.Crashed()
		after := mem.CrashClone(vfs.CrashOptions{Rand: rand.New(rand.NewSource(int64(n))), KeepUnsynced: 0})
		got, rerr := readAll(New(after, "/d/answers"), "x")
		if err == nil && (rerr != nil || got != 700) {
			t.Fatalf("crash at %d: committed, then %d answers: %v", n, got, rerr)
		}
		if !crashed {
			return
		}
	}
}

func TestErrorsOfTheDisk(t *testing.T) {
	for n := 1; n < 12; n++ {
		mem := folder(t)
		s := New(mem, "/d/answers")
		left := n
		mem.SetHook(func(vfs.Op) error {
			if left--; left == 0 {
				return errors.New("no")
			}
			return nil
		})
		err := write(s, "x", 700)
		mem.SetHook(nil)
		if err == nil {
			if got, rerr := readAll(s, "x"); rerr != nil || got != 700 {
				t.Errorf("operation %d failed: %d answers, %v", n, got, rerr)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	mem := vfs.NewMem()
	_ = vfs.MkdirAll(mem, "/d")
	s := New(mem, "/d/answers")
	_ = write(s, "x", 3)
	b, err := vfs.ReadFile(mem, "/d/answers/x.answers", 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(magic))
	f.Add(append([]byte(magic), 255, 255, 255, 255, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		mem := vfs.NewMem()
		if err := vfs.MkdirAll(mem, "/d/answers"); err != nil {
			t.Fatal(err)
		}
		h, err := mem.Create("/d/answers/x.answers")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		_ = New(mem, "/d/answers").Read("x", func(Answer) error { return nil })
	})
}
