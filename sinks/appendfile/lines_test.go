package appendfile

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// fullState has something in every field.
func fullState() state {
	s := newState("/var/log/a \"b\"\n\xff.log")
	s.headed, s.end, s.used = true, 123, 1700000000000
	id := sinktest.Identity(2)
	id.Partition = "a;b=c%d \xff\n"
	s.add("one", sinktest.Identity(1))
	s.add("two \xfe\"\n", id)
	s.open = &intent{name: "three", id: sinktest.Identity(3), offset: 123, size: 45, hash: 0xfedcba9876543210}
	return s
}

func TestStateSurvivesItsLines(t *testing.T) {
	moving := newState("f")
	moving.headed, moving.moving = true, 7
	for name, want := range map[string]state{"open": fullState(), "moving": moving} {
		got, damaged := parse(want.lines())
		if damaged || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: damaged %v\n%+v\n%+v", name, damaged, got, want)
		}
	}
}

// What lines make of a state that has one batch open.
func TestLines(t *testing.T) {
	next := &intent{name: "next", id: sinktest.Identity(4), offset: 9, size: 1}
	intentLine := func(done bool) string {
		s := state{lastDone: done}
		return s.intentLine(next, 5)
	}
	for name, c := range map[string]struct {
		lines  []string
		known  bool // the batch that was open arrived
		open   string
		end    int64
		moving int
	}{
		"nothing":               {nil, false, "three", 123, -1},
		"done":                  {[]string{"done"}, true, "", 168, -1},
		"void":                  {[]string{"void"}, false, "", 123, -1},
		"another intent":        {[]string{intentLine(false)}, false, "next", 123, -1},
		"done said late":        {[]string{intentLine(true)}, true, "next", 168, -1},
		"done said twice":       {[]string{"done", intentLine(true)}, true, "next", 168, -1},
		"rotation":              {[]string{"done", "move 1 3"}, true, "", 168, 3},
		"rotation, done late":   {[]string{(&state{lastDone: true}).moveLine(0)}, true, "", 168, 0},
		"rotation has ended":    {[]string{"move 1 0", "moved"}, true, "", 0, -1},
		"rotation without more": {[]string{"void", (&state{}).moveLine(2), (&state{}).moveLine(1)}, false, "", 123, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := fullState()
			for _, l := range c.lines {
				must(t, s.apply(l))
			}
			_, known := s.known["three"]
			open := ""
			if s.open != nil {
				open = s.open.name
			}
			if known != c.known || open != c.open || s.end != c.end || s.moving != c.moving {
				t.Errorf("known %v, open %q, end %d, moving %d; want %+v", known, open, s.end, s.moving, c)
			}
		})
	}
}

func TestLinesThatAreNone(t *testing.T) {
	for _, line := range []string{
		"", "x", "file", "file 2 0 0 \"f\"", "file 1 -1 0 \"f\"", "file 1 0 0 f", "file 1 0 0 \"f\" more", "kept", `kept "a"`, `kept "a" "b"`,
		"intent 1 2 3", `intent 0 0 0 0000000000000000 0 "n" "v1"`, "move", "move 0", "move x 1", "move 0 1 2",
	} {
		s := fullState()
		if err := s.apply(line); err == nil || !reflect.DeepEqual(s, fullState()) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// The last two lines may be torn by a power cut; anything else is damage. Whatever it is, the rest counts.
func TestTornSidecar(t *testing.T) {
	s := newState("f")
	text := s.lines()
	for i := range 5 {
		in := &intent{name: fmt.Sprint(i), id: sinktest.Identity(1)}
		text += seal(s.intentLine(in, 0)) + seal("done")
	}
	lines := strings.SplitAfter(text, "\n")
	for i := range len(lines) - 1 {
		torn := strings.Join(lines[:i], "") + strings.Repeat("\x00", len(lines[i])-1) + "\n" + strings.Join(lines[i+1:], "")
		got, damaged := parse(torn)
		if want := i < len(lines)-3; damaged != want {
			t.Errorf("line %d: damaged %v", i, damaged)
		}
		if len(got.names) < 4 {
			t.Errorf("line %d: only %d batches are known", i, len(got.names))
		}
	}
	for n := len(text); n > len(text)-len(lines[len(lines)-2])-len(lines[len(lines)-3]); n-- {
		if got, damaged := parse(text[:n]); damaged || len(got.names) < 4 {
			t.Errorf("the first %d bytes: damaged %v, %d batches", n, damaged, len(got.names))
		}
	}
	if _, damaged := parse(""); !damaged {
		t.Error("an empty sidecar is whole")
	}
}

// A damaged sidecar holds nothing up. A copy is kept.
func TestDamagedSidecar(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	for i := range 5 {
		mustPut(t, s, fmt.Sprintf("f/%d", i), "x", i+1)
	}
	name := s.sidecarName(base + "/f")
	must(t, s.Close())
	text := content(t, m, name)
	bad := strings.Replace(text, "intent", "extent", 2)
	overwrite(t, m, name, bad)
	s = open(t, m)
	mustExist(t, s, "f/4", "x", 5)
	mustPut(t, s, "f/5", "y", 6)
	mustHold(t, m.CrashClone(vfs.CrashOptions{}), name+damagedSuffix, bad)
	mustHold(t, m, base+"/f", "xxxxxy")
}

func FuzzParse(f *testing.F) {
	s := fullState()
	f.Add(s.lines())
	f.Add(seal("file 1 0 0 \"f\"") + seal("move 1 0") + seal("done") + "torn")
	f.Fuzz(func(t *testing.T, text string) {
		s, damaged := parse(text)
		if damaged {
			return
		}
		again, damaged := parse(s.lines())
		if damaged || len(again.names) != len(s.names) || again.moving != s.moving || (again.open == nil) != (s.open == nil) {
			t.Errorf("%+v became %+v", s, again)
		}
	})
}

func FuzzLine(f *testing.F) {
	for line := range strings.Lines((func() string { s := fullState(); return s.lines() })()) {
		f.Add(strings.TrimSpace(line[17:]))
	}
	f.Fuzz(func(t *testing.T, line string) {
		s := newState("f")
		s.headed = true
		if s.apply(line) != nil {
			return
		}
		if got, damaged := parse(s.lines()); damaged || len(got.names) != len(s.names) || got.moving != s.moving || got.end != s.end || got.file != s.file {
			t.Errorf("%+v became %+v", s, got)
		}
	})
}

func TestRememberedIsBounded(t *testing.T) {
	var r remembered
	for i := range maxKnown + 10 {
		r.add(fmt.Sprint(i), record.Identity{Count: i})
		r.add(fmt.Sprint(i), record.Identity{Count: i + 1})
	}
	if len(r.names) != maxKnown || len(r.known) != maxKnown || r.names[0] != "10" || r.known["10"].Count != 11 {
		t.Errorf("%d %d %s", len(r.names), len(r.known), r.names[0])
	}
}
