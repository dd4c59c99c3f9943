package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fixed(secret string) func() (string, error) {
	return func() (string, error) { return secret, nil }
}

func only(stream string) func(action, s string) bool {
	return func(action, s string) bool { return action == "put" && s == stream }
}

func TestCheck(t *testing.T) {
	s := New([]Token{
		{Name: "a", Reveal: fixed("one"), Allows: only("x")},
		{Name: "b", Reveal: fixed("two"), Allows: only("y")},
		{Name: "c", Reveal: fixed("one"), Allows: only("z")},
		{Name: "e", Reveal: fixed(""), Allows: only("x")},
		{Name: "f", Reveal: func() (string, error) { return "", errors.New("cannot") }, Allows: only("x")},
	}, nil)
	for _, tc := range []struct {
		secret, action, stream, name string
		err                          error
	}{
		{"one", "put", "x", "a", nil}, {"one", "put", "z", "c", nil}, {"one", "put", "y", "", ErrForbidden}, {"one", "get", "x", "", ErrForbidden},
		{"two", "put", "y", "b", nil}, {"two", "put", "x", "", ErrForbidden}, {"", "put", "x", "", ErrNone}, {"three", "put", "x", "", ErrUnknown},
		{"one ", "put", "x", "", ErrUnknown}, {"on", "put", "x", "", ErrUnknown}, {"\x00", "put", "x", "", ErrUnknown},
	} {
		if name, err := s.Check(tc.secret, tc.action, tc.stream); name != tc.name || !errors.Is(err, tc.err) {
			t.Errorf("%q %s %s: %q, %v; want %q, %v", tc.secret, tc.action, tc.stream, name, err, tc.name, tc.err)
		}
	}
}

// TestSecretsAreFollowed: they are looked up again, at most every five seconds; what is gone is good no more, what cannot be read for a
// moment still is.
func TestSecretsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret, fail, looks := "old", error(nil), 0
		var log bytes.Buffer
		s := New([]Token{{Name: "n", Reveal: func() (string, error) { looks++; return secret, fail }, Allows: only("x")}}, slog.New(slog.NewTextHandler(&log, nil)))
		good := func(shown string) bool { _, err := s.Check(shown, "put", "x"); return err == nil }
		if !good("old") || looks != 1 {
			t.Fatal("the first look")
		}
		secret = "new"
		time.Sleep(Every - time.Millisecond)
		if !good("old") || good("new") || looks != 1 {
			t.Errorf("looked up %d times too early", looks)
		}
		time.Sleep(time.Millisecond)
		if good("old") || !good("new") || looks != 2 {
			t.Errorf("a secret that changed is not followed, %d looks", looks)
		}
		fail = fmt.Errorf("too many open files")
		for range 3 {
			time.Sleep(Every)
			if !good("new") {
				t.Error("a secret that cannot be read for a moment is lost")
			}
		}
		fail = fmt.Errorf("x: %w", fs.ErrNotExist)
		time.Sleep(Every)
		if good("new") {
			t.Error("a secret that is gone is good")
		}
		fail = nil
		time.Sleep(Every)
		if !good("new") {
			t.Error("a secret that is back is not good")
		}
		if n := strings.Count(log.String(), "cannot be looked up"); n != 1 || strings.Contains(log.String(), "secret=") {
			t.Errorf("the log says %s", log.String())
		}
	})
}

func TestCheckFromManySides(t *testing.T) {
	s := New([]Token{{Reveal: fixed("s"), Allows: only("x")}}, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, err := s.Check("s", "put", "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCheck(b *testing.B) {
	s := New([]Token{{Reveal: fixed("s"), Allows: only("x")}, {Reveal: fixed("t"), Allows: only("x")}}, nil)
	for b.Loop() {
		_, _ = s.Check("s", "put", "x")
	}
}
