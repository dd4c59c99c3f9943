package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// noted is a put whose note says all that one can say; the i-th record was the i-th of another log.
func noted(t testing.TB, records ...string) *record.Put {
	t.Helper()
	p := putOf(records...)
	n := record.Note{Request: record.RequestKey{1, 2, 3}, Attributes: map[string]string{"env": "prod", "ü": "€"}}
	for i := range records {
		n.Origins = append(n.Origins, record.Origin{ID: record.ID{Epoch: record.Epoch{9}, Pos: record.Position(i + 1)}, Sub: uint16(i)})
	}
	if err := p.SetNote(n); err != nil {
		t.Fatal(err)
	}
	return p
}

// frames reads all of a log: "records|note|origins" of each frame.
func frames(t *testing.T, l *Log) (all []string) {
	t.Helper()
	rd := l.NewReader(0)
	defer rd.Close()
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.Note()
		if err != nil {
			t.Fatal(err)
		}
		one := ""
		if n != nil {
			one = fmt.Sprintf("%v%s", n.Request[:3], n.Attributes["env"])
		}
		err = f.Records(0, noPosition, func(r record.Record) error {
			one += "|" + string(r.Data)
			if r.Origin != nil {
				one += "@" + r.Origin.String()[len(r.Origin.String())-4:]
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

func TestNotesStandInTheLog(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "plain")
	if _, err := r.log.Append(context.Background(), noted(t, "a", "", "c")); err != nil {
		t.Fatal(err)
	}
	r.together(t, mem, putOf("one"), noted(t, "two"), putOf("three"), noted(t, strings.Repeat("x", 100_000)))
	want := []string{"|plain", "[1 2 3]prod|a@.1.0|@.2.1|c@.3.2", "|one"}
	check := func(got []string) {
		t.Helper()
		if len(got) != 6 || fmt.Sprint(got[:3]) != fmt.Sprint(want) {
			t.Errorf("%d frames: %.300q", len(got), got)
		}
	}
	check(frames(t, r.log))
	disk := mem.CrashClone(randomCrash(1, 0)) // acknowledged, so it survives
	r.close(t)
	r = openRig(t, disk, 0)
	check(frames(t, r.log))
	r.noDamage(t)
	r.close(t)
}

// A put without a note may follow one with a note in the same buffer.
func TestNotesDoNotStick(t *testing.T) {
	p := noted(t, "a")
	p.Reset()
	p.Add([]byte("b"))
	if n, b := p.Note(); !n.Empty() || b != nil {
		t.Errorf("a put from the pool has the note %q", b)
	}
}

// Damage in a note is damage of its put.
func TestDamagedNote(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	if _, err := r.log.Append(context.Background(), noted(t, "a")); err != nil {
		t.Fatal(err)
	}
	r.append(t, "b")
	path := r.lastSegmentPath()
	r.close(t)
	b, err := vfs.ReadFile(mem, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), `"env"`)
	f, err := mem.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), int64(at+1)); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	sum, err := Verify(mem, "d/s/log", nil)
	if err != nil || sum.Damaged != 1 || sum.Records != 1 {
		t.Errorf("%+v %v", sum, err)
	}
	r = openRig(t, mem, 0)
	if got := frames(t, r.log); fmt.Sprint(got) != "[ |b]" {
		t.Errorf("%q", got)
	}
	if len(r.damage) == 0 {
		t.Error("nothing was reported")
	}
	r.close(t)
}

func TestNoteTooLong(t *testing.T) {
	p := putOf("a")
	if err := p.SetNote(record.Note{Attributes: map[string]string{"a": strings.Repeat("x", record.MaxNoteBytes)}}); err == nil {
		t.Error("taken")
	}
}
