package bodies

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request makes a request with the given body; declared -1 means chunked.
func request(body io.Reader, declared int64, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", body)
	r.ContentLength = declared
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>10 ^ i)
	}
	return b
}

func TestReadAllSizes(t *testing.T) {
	r := NewReader(Limits{})
	sizes := []int{0, 1, 511, 512, 513, 8191, 8192, 8193, 64 << 10, 64<<10 + 1, 700_000, 2 << 20, 6<<20 + 1, 16<<20 - 1, 16 << 20}
	for _, n := range sizes {
		want := pattern(n)
		for _, declared := range []int64{int64(n), -1} {
			b, err := r.Read(httptest.NewRecorder(), request(bytes.NewReader(want), declared))
			if err != nil {
				t.Fatalf("%d bytes (declared %d): %v", n, declared, err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Fatalf("%d bytes (declared %d): other bytes came out", n, declared)
			}
			if held := r.Stats().HeldBytes; held > int64(max(8*n+4096, classes[0])) || (n > 512 && held < int64(n)) {
				t.Errorf("%d bytes hold %d of the budget", n, held)
			}
			b.Recycle()
			if held := r.Stats().HeldBytes; n > 512 && held < int64(n) {
				t.Errorf("%d bytes: Recycle gave the budget away", n)
			}
			b.Release()
		}
	}
	if s := r.Stats(); s != (Stats{}) {
		t.Errorf("after all: %+v", s)
	}
}

func TestReadTooLarge(t *testing.T) {
	r := NewReader(Limits{})
	over := pattern(16<<20 + 1)
	for _, declared := range []int64{int64(len(over)), -1, 100} {
		w := httptest.NewRecorder()
		_, err := r.Read(w, request(bytes.NewReader(over), declared))
		if !errors.Is(err, ErrTooLarge) || Status(err) != http.StatusRequestEntityTooLarge {
			t.Errorf("declared %d: %v", declared, err)
		}
		if w.Header().Get("Connection") != "close" {
			t.Errorf("declared %d: the connection stays open", declared)
		}
	}
	if held := r.Stats().HeldBytes; held != 0 {
		t.Errorf("%d bytes still held", held)
	}
}

// touchedReader notices whether anybody read from it.
type touchedReader struct{ touched bool }

func (r *touchedReader) Read([]byte) (int, error) { r.touched = true; return 0, io.EOF }

func TestDeclaredTooLargeIsNotRead(t *testing.T) {
	src := new(touchedReader)
	_, err := NewReader(Limits{}).Read(httptest.NewRecorder(), request(src, 16<<20+1))
	if !errors.Is(err, ErrTooLarge) || src.touched {
		t.Errorf("%v, read: %v", err, src.touched)
	}
}

func TestBrokenOff(t *testing.T) {
	src := io.MultiReader(bytes.NewReader(pattern(9000)), errReader{io.ErrUnexpectedEOF})
	_, err := NewReader(Limits{}).Read(httptest.NewRecorder(), request(src, 10_000))
	if !errors.Is(err, ErrIncomplete) || !errors.Is(err, io.ErrUnexpectedEOF) || Status(err) != http.StatusBadRequest {
		t.Errorf("%v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// blockedReader gives some bytes and then nothing until it is let go.
type blockedReader struct {
	some    *bytes.Reader
	blocked chan<- struct{} // told when the bytes are used up
	rest    <-chan struct{}
}

func (r *blockedReader) Read(p []byte) (int, error) {
	if r.some.Len() > 0 {
		return r.some.Read(p)
	}
	r.blocked <- struct{}{}
	<-r.rest
	return 0, io.ErrUnexpectedEOF
}

// A body costs what arrived, not what was declared.
func TestDeclaredBytesCostNothing(t *testing.T) {
	const clients = 5000
	r := NewReader(Limits{})
	rest, blocked := make(chan struct{}), make(chan struct{}, clients)
	before := heap()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			src := &blockedReader{bytes.NewReader(make([]byte, 100)), blocked, rest}
			if _, err := r.Read(httptest.NewRecorder(), request(src, 16<<20)); !errors.Is(err, ErrIncomplete) {
				t.Errorf("%v", err)
			}
		})
	}
	for range clients {
		<-blocked
	}
	if grown, held := heap()-before, r.Stats().HeldBytes; grown > clients*(16<<10) || held != 0 {
		t.Errorf("%d clients that sent 100 bytes each: heap grew by %d, budget holds %d", clients, grown, held)
	}
	close(rest)
	wg.Wait()
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Many large bodies through a small budget: all get through, none blocks another for ever.
func TestSmallBudgetManyBodies(t *testing.T) {
	r := NewReader(Limits{TotalBytes: 1 << 20, Wait: 1 << 40})
	want := pattern(1 << 20)
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			b, err := r.Read(httptest.NewRecorder(), request(bytes.NewReader(want), -1))
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Error("other bytes came out")
			}
			b.Release()
		})
	}
	wg.Wait()
	if s := r.Stats(); s != (Stats{}) {
		t.Errorf("after all: %+v", s)
	}
}

func TestStatus(t *testing.T) {
	for err, want := range map[error]int{
		ErrTooLarge: 413, ErrTimeout: 408, ErrIncomplete: 400, ErrEncoding: 415, ErrCorrupt: 400,
		context.Canceled: 503, fmt.Errorf("x: %w", ErrTooLarge): 413, errors.New("x"): 500,
	} {
		if got := Status(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1 << 10, 700 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := NewReader(Limits{})
			body := pattern(n)
			w := httptest.NewRecorder()
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				req := &http.Request{Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(n)}
				got, err := r.Read(w, req)
				if err != nil {
					b.Fatal(err)
				}
				got.Release()
			}
		})
	}
}
