package appendfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"hydrant/record"
)

// A sidecar is a text file. Each line begins with the XXH64 of the rest, 16 hexadecimal digits and a space. Strings are quoted as in Go.
//
//	file 1 END MILLIS PATH                             first line: where the last batch ended, when it came, the file's path
//	kept NAME IDENTITY                                 a batch that arrived, oldest first
//	intent DONE OFFSET SIZE HASH MILLIS NAME IDENTITY  a batch is about to be written there
//	done                                               it arrived
//	void                                               it did not, and nothing of it is in the file
//	move DONE N                                        PATH.N is about to become PATH.(N+1); PATH.0 is PATH
//	moved                                              the rotation has ended
//
// An intent or move is synced before anything else is done; the others are not, so that DONE says once more, as 1, that the intent
// before arrived. An intent that another one follows with 0 is void.
const (
	lineFile   = "file"
	lineKept   = "kept"
	lineIntent = "intent"
	lineDone   = "done"
	lineVoid   = "void"
	lineMove   = "move"
	lineMoved  = "moved"
)

const sidecarVersion = 1

var errLine = errors.New("file sink: not a line of a sidecar")

// maxKnown is how many batches of a file are remembered.
const maxKnown = 1024

// remembered are the batches that arrived last. The zero value is empty.
type remembered struct {
	names []string // oldest first
	known map[string]record.Identity
}

func (r *remembered) add(name string, id record.Identity) {
	if r.known == nil {
		r.known = map[string]record.Identity{}
	}
	if _, ok := r.known[name]; !ok {
		if len(r.names) >= maxKnown {
			delete(r.known, r.names[0])
			r.names = r.names[1:]
		}
		r.names = append(r.names, name)
	}
	r.known[name] = id
}

// intent is a batch of which it is not known yet whether it arrived.
type intent struct {
	name         string
	id           record.Identity
	offset, size int64
	hash         uint64 // XXH64 of its bytes
}

func (i *intent) end() int64 { return i.offset + i.size }

// state is what the lines of a sidecar amount to.
type state struct {
	remembered
	headed   bool // there is a first line
	file     string
	end      int64 // where the last batch ended in the file
	used     int64 // when the last intent was noted, Unix ms
	open     *intent
	lastDone bool // the intent before arrived
	moving   int  // the rotated file that is about to be moved, -1: none
}

func newState(file string) state { return state{file: file, moving: -1} }

// apply makes one line's change, or none when the line is not understood.
func (s *state) apply(line string) error {
	kind, rest, _ := strings.Cut(line, " ")
	f := fields{rest: rest}
	switch kind {
	case lineFile:
		version, end, used, file := f.num(), f.num(), f.num(), f.text()
		if f.ok() && version == sidecarVersion {
			s.headed, s.end, s.used, s.file = true, end, used, file
			return nil
		}
	case lineKept:
		name, id := f.text(), f.identity()
		if f.ok() {
			s.add(name, id)
			return nil
		}
	case lineIntent:
		done := f.num()
		i, used := f.intent()
		if f.ok() {
			s.settled(done == 1)
			s.open, s.used, s.lastDone = i, used, false
			return nil
		}
	case lineDone, lineVoid:
		s.settled(kind == lineDone)
		return nil
	case lineMove:
		done, n := f.num(), f.num()
		if f.ok() {
			s.settled(done == 1)
			s.moving = int(n)
			return nil
		}
	case lineMoved:
		s.moving, s.end = -1, 0
		return nil
	}
	return errLine
}

// settled ends the open intent.
func (s *state) settled(done bool) {
	if i := s.open; i != nil && done {
		s.add(i.name, i.id)
		s.end = i.end()
	}
	s.open, s.lastDone = nil, done
}

// lines writes the whole state.
func (s *state) lines() string {
	var b strings.Builder
	b.WriteString(seal(fmt.Sprintf("%s %d %d %d %q", lineFile, sidecarVersion, s.end, s.used, s.file)))
	for _, name := range s.names {
		b.WriteString(seal(fmt.Sprintf("%s %q %q", lineKept, name, s.known[name].String())))
	}
	if s.open != nil {
		b.WriteString(seal(s.intentLine(s.open, s.used)))
	}
	if s.moving >= 0 {
		b.WriteString(seal(s.moveLine(s.moving)))
	}
	return b.String()
}

func (s *state) intentLine(i *intent, used int64) string {
	return fmt.Sprintf("%s %d %d %d %016x %d %q %q", lineIntent, bit(s.lastDone), i.offset, i.size, i.hash, used, i.name, i.id.String())
}

func (s *state) moveLine(n int) string { return fmt.Sprintf("%s %d %d", lineMove, bit(s.lastDone), n) }

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parse reads a sidecar. What a crash may have torn is passed over: the last two lines, of which nothing has followed yet. damaged says that
// other lines could not be read either.
func parse(text string) (s state, damaged bool) {
	s = newState("")
	lines := strings.Split(text, "\n") // the last one is empty, or torn
	for i, line := range lines {
		if line == "" && i == len(lines)-1 {
			break
		}
		rest, ok := unseal(line)
		if ok {
			ok = s.apply(rest) == nil
		}
		if !ok && i < len(lines)-3 {
			damaged = true
		}
	}
	return s, damaged || !s.headed
}

func seal(line string) string { return fmt.Sprintf("%016x %s\n", xxhash.Sum64String(line), line) }

func unseal(line string) (rest string, ok bool) {
	sum, rest, ok := strings.Cut(line, " ")
	if !ok || len(sum) != 16 {
		return "", false
	}
	want, err := strconv.ParseUint(sum, 16, 64)
	return rest, err == nil && want == xxhash.Sum64String(rest)
}

// fields takes the words of a line one after the other.
type fields struct {
	rest string
	bad  bool
}

// ok: all were as expected, and none is left.
func (f *fields) ok() bool { return !f.bad && f.rest == "" }

func (f *fields) word() string {
	var w string
	w, f.rest, _ = strings.Cut(f.rest, " ")
	return w
}

// num is a number that is not negative.
func (f *fields) num() int64 {
	n, err := strconv.ParseInt(f.word(), 10, 64)
	f.bad = f.bad || err != nil || n < 0
	return n
}

func (f *fields) hex() uint64 {
	n, err := strconv.ParseUint(f.word(), 16, 64)
	f.bad = f.bad || err != nil
	return n
}

func (f *fields) text() string {
	q, err := strconv.QuotedPrefix(f.rest)
	if err != nil {
		f.bad = true
		return ""
	}
	f.rest = strings.TrimPrefix(f.rest[len(q):], " ")
	s, err := strconv.Unquote(q)
	f.bad = f.bad || err != nil
	return s
}

func (f *fields) identity() record.Identity {
	id, err := record.ParseIdentity(f.text())
	f.bad = f.bad || err != nil
	return id
}

func (f *fields) intent() (i *intent, used int64) {
	i = &intent{offset: f.num(), size: f.num(), hash: f.hex()}
	used = f.num()
	i.name, i.id = f.text(), f.identity()
	return i, used
}
