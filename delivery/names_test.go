package delivery

import (
	"fmt"
	"math/rand"
	"regexp"
	"sort"
	"testing"

	"hydrant/delivery/journal"
	"hydrant/record"
)

func entryAt(pos record.Position) *journal.Entry {
	return &journal.Entry{Role: record.RoleMain, Version: 1, Batch: record.Batch{First: record.ID{Epoch: record.Epoch{1}, Pos: pos}}}
}

func TestObjectNamesSortByPosition(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	positions := []record.Position{1, 0xfff, 0x1000, 0x1001, 1<<32 - 1, 1 << 32, 1<<60 - 1}
	for range 500 {
		positions = append(positions, record.Position(rng.Int63n(1<<uint(1+rng.Intn(59)))))
	}
	sort.Slice(positions, func(i, k int) bool { return positions[i] < positions[k] })
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for i, p := range positions {
		e := entryAt(p)
		e.Version = rng.Intn(9)
		name := objectUUID(e)
		if !shape.MatchString(name) {
			t.Fatalf("%s is no version 8 UUID", name)
		}
		if i > 0 && p > positions[i-1] && name <= objectUUID(entryAt(positions[i-1])) {
			t.Fatalf("position %d sorts before %d", p, positions[i-1])
		}
	}
}

// TestNamesTellObjectsApart: whatever makes an object another one changes its name, and nothing else does.
func TestNamesTellObjectsApart(t *testing.T) {
	changes := map[string]func(e *journal.Entry){
		"nothing":   func(*journal.Entry) {},
		"epoch":     func(e *journal.Entry) { e.Batch.First.Epoch[5]++ },
		"position":  func(e *journal.Entry) { e.Batch.First.Pos++ },
		"role":      func(e *journal.Entry) { e.Role = record.RoleBackup },
		"set aside": func(e *journal.Entry) { e.SetAside = "s3-failed" },
		"its role":  func(e *journal.Entry) { e.SetAside, e.Role = "s3-failed", record.RoleBackup },
		"version":   func(e *journal.Entry) { e.Version++ },
		"partition": func(e *journal.Entry) { e.Partition = "p" },
		"ordinal":   func(e *journal.Entry) { e.Ordinal++ },
		"salt":      func(e *journal.Entry) { e.Salt = "s" },
	}
	seen := map[string]string{}
	for what, change := range changes {
		e := entryAt(7)
		change(e)
		for _, name := range []string{objectUUID(e), randomString(nameHash(e, "random-string 0"))} {
			if other, ok := seen[name]; ok {
				t.Errorf("%s and %s give the same name %s", what, other, name)
			}
			seen[name] = what
		}
	}
	e := entryAt(7)
	e.N, e.Attempts, e.Bisecting, e.Bucket, e.Key, e.Batch.Last.Pos, e.Batch.Count = 9, 2, true, "b", "k", 99, 5
	if objectUUID(e) != objectUUID(entryAt(7)) {
		t.Error("the name depends on what may differ the second time")
	}
}

func TestRandomStringsUseTheWholeAlphabet(t *testing.T) {
	seen := map[byte]bool{}
	for i := range uint64(500) {
		s := randomString(i * 0x9E3779B97F4A7C15)
		if len(s) != 11 {
			t.Fatalf("%q", s)
		}
		for k := range len(s) {
			seen[s[k]] = true
		}
	}
	if len(seen) != 62 {
		t.Errorf("%d characters are used", len(seen))
	}
}

func TestBackoff(t *testing.T) {
	b := Backoff{}.withDefaults()
	for n := 1; n < 200; n++ {
		limit := min(b.First<<min(n-1, 20), b.Cap)
		for range 20 {
			if w := b.wait(n); w <= 0 || w > limit+1e6 {
				t.Fatalf("wait %d is %v, the limit %v", n, w, limit)
			}
		}
	}
	if !loud(1) || loud(5) || !loud(64) || !loud(120) {
		t.Error("warnings of a long outage: " + fmt.Sprint(loud(1), loud(5), loud(64), loud(120)))
	}
}

func TestGenerationsStandBesideEachOther(t *testing.T) {
	for _, c := range []struct{ prefix, head, generation, want string }{
		{"logs/2026/01/", "logs/", "", "logs/2026/01/"},
		{"logs/2026/01/", "logs/", "schema-2", "logs-schema-2/2026/01/"},
		{"a/b/c=1/", "a/b/c=", "schema-3", "a/b-schema-3/c=1/"},
		{"c=1/", "c=", "schema-2", "schema-2/c=1/"},
		{"2026/01/", "", "schema-2", "schema-2/2026/01/"},
		{"/x/", "/x/", "schema-2", "/x-schema-2/"},
		{"/x/", "/", "schema-2", "schema-2//x/"},
	} {
		if got := beside(c.prefix, c.head, c.generation); got != c.want {
			t.Errorf("beside(%q, %q, %q) = %q, want %q", c.prefix, c.head, c.generation, got, c.want)
		}
	}
}
