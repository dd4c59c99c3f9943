package wal

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

var writeGolden = flag.Bool("wal.golden", false, "write the sample of the current format version anew; only before it is released")

// goldenRecord is one line of records.json.
type goldenRecord struct {
	Epoch   string
	Pos     record.Position
	Arrival int64
	Data    string
	Note    string `json:",omitempty"` // of the put, since version 2
	Origin  string `json:",omitempty"`
}

func goldenOf(r record.Record, note string) goldenRecord {
	g := goldenRecord{Epoch: r.Epoch.String(), Pos: r.Pos, Arrival: r.ArrivalMillis, Data: string(r.Data), Note: note}
	if r.Origin != nil {
		g.Origin = r.Origin.String()
	}
	return g
}

// The samples of all format versions are read for ever: by a log that goes on from them, and by an inspection.
func TestGoldenV1(t *testing.T) { golden(t, "testdata/v1") }

func TestGoldenV2(t *testing.T) {
	if *writeGolden {
		makeGolden(t, "testdata/v2")
	}
	golden(t, "testdata/v2")
}

func golden(t *testing.T, goldenDir string) {
	var want []goldenRecord
	b, err := os.ReadFile(filepath.Join(goldenDir, "records.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	var got []goldenRecord
	put := ""
	note := func(r record.Record) error {
		got = append(got, goldenOf(r, put))
		return nil
	}
	sum, err := Verify(vfs.NewOS(), goldenDir, func(f Finding) { t.Errorf("%+v", f) })
	if err != nil || int(sum.Records) != len(want) || sum.Segments != 3 {
		t.Errorf("%+v, %v", sum, err)
	}
	err = Dump(vfs.NewOS(), goldenDir, 0, 0, func(_ SegmentInfo, f FrameInfo, r record.Record) error {
		put = f.Note
		return note(r)
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dump: %v, %d of %d records", err, len(got), len(want))
	}
	got = nil
	r := openRig(t, goldenCopy(t, goldenDir), 0)
	rd := r.log.NewReader(0)
	for f, err := rd.Next(); err == nil; f, err = rd.Next() {
		n, err := f.Note()
		if err != nil {
			t.Fatal(err)
		}
		if put = ""; n != nil {
			b, err := n.Encode()
			if err != nil {
				t.Fatal(err)
			}
			put = string(b)
		}
		if err := f.Records(0, noPosition, note); err != nil {
			t.Fatal(err)
		}
	}
	rd.Close()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %d of %d records", len(got), len(want))
	}
	if id := r.append(t, "goes on"); id.Pos != want[len(want)-1].Pos+1 {
		t.Errorf("next position %d", id.Pos)
	}
	r.noDamage(t)
	r.close(t)
}

// goldenCopy puts the sample on a disk in memory.
func goldenCopy(t *testing.T, goldenDir string) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	if err := vfs.MkdirAll(mem, "d/s/log"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFileAtomic(mem, "d/s/log/"+filepath.Base(name), b); err != nil {
			t.Fatal(err)
		}
	}
	return mem
}

// makeGolden writes three segments: one that a successor ends, one that was killed with a torn put, one that a clean stop sealed.
func makeGolden(t *testing.T, goldenDir string) {
	t.Helper()
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "first", "", "third")
	r.together(t, mem, putOf("a commit"), putOf("of two", "puts"), putOf("more"))
	r.append(t, strings.Repeat("more than one block ", 4000))
	if _, err := r.log.Append(t.Context(), noted(t, "with", "a note")); err != nil {
		t.Fatal(err)
	}
	r.close(t)
	r = openRig(t, mem, 0)
	r.append(t, "second opening")
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			return vfs.ErrShort{N: 100}
		}
		return nil
	})
	if _, err := r.log.Append(t.Context(), putOf(strings.Repeat("torn", 100))); err == nil {
		t.Fatal("acknowledged")
	}
	disk := mem.KillClone()
	r = openRig(t, disk, 0)
	r.append(t, "third opening", "ends with a seal")
	r.close(t)
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= 3; n++ {
		b, err := vfs.ReadFile(disk, "d/s/log/"+segmentName(n), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(goldenDir, segmentName(n)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var list []goldenRecord
	err := Dump(disk, "d/s/log", 0, 0, func(_ SegmentInfo, f FrameInfo, r record.Record) error {
		list = append(list, goldenOf(r, f.Note))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(goldenDir, "records.json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
