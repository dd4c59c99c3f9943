package bodies

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipeListener serves in-memory connections, so that deadlines follow the test's clock.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
}

func newPipes() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), shut: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.shut:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.shut) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
func (l *pipeListener) dial() net.Conn {
	here, there := net.Pipe()
	l.conns <- there
	return here
}

// serve runs Server with a handler that reads its body and answers with the status, in the test's own time.
func serve(t *testing.T, h http.HandlerFunc, client func(t *testing.T, l *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		srv := Server("", h)
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		client(t, l)
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		time.Sleep(time.Minute) // of the test's clock: the server lingers on connections it closes
	})
}

func readHandler(r *Reader) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		b, err := r.Read(w, req)
		if err != nil {
			http.Error(w, err.Error(), Status(err))
			return
		}
		defer b.Release()
		fmt.Fprintf(w, "%d", len(b.Bytes()))
	}
}

const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"

// answer reads the response and when the connection was closed after it.
func answer(t *testing.T, c net.Conn) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestStalledBodyIsCut(t *testing.T) {
	r := NewReader(Limits{})
	serve(t, readHandler(r), func(t *testing.T, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		start := time.Now()
		if _, err := io.WriteString(c, head+"some"); err != nil {
			t.Fatal(err)
		}
		if status, _ := answer(t, c); status != http.StatusRequestTimeout {
			t.Errorf("status %d", status)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the connection stays open")
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
	if held := r.Stats().HeldBytes; held != 0 {
		t.Errorf("%d bytes still held", held)
	}
}

func TestDrippingBodyIsCut(t *testing.T) {
	serve(t, readHandler(NewReader(Limits{})), func(t *testing.T, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		start := time.Now()
		go func() {
			_, err := io.WriteString(c, head)
			for err == nil {
				time.Sleep(5 * time.Second)
				_, err = c.Write([]byte("x"))
			}
		}()
		if status, _ := answer(t, c); status != http.StatusRequestTimeout {
			t.Errorf("status %d", status)
		}
		if took := time.Since(start); took > 35*time.Second || took < 25*time.Second {
			t.Errorf("cut after %v", took)
		}
		c.Close()
		synctest.Wait()
	})
}

// A slow but steady client may take as long as its bytes need.
func TestSteadyBodyIsRead(t *testing.T) {
	serve(t, readHandler(NewReader(Limits{})), func(t *testing.T, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		go func() {
			_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\nConnection: close\r\n\r\n")
			for chunk := strings.Repeat("x", 500_000); err == nil; {
				time.Sleep(7 * time.Second)
				_, err = io.WriteString(c, chunk)
			}
		}()
		if status, body := answer(t, c); status != http.StatusOK || body != "8000000" {
			t.Errorf("status %d, %s", status, body)
		}
		c.Close()
		synctest.Wait()
	})
}

// Once the body is there, the log may take its time: no deadline of the body cancels the request.
func TestNoDeadlineAfterTheBody(t *testing.T) {
	r := NewReader(Limits{})
	slow := func(w http.ResponseWriter, req *http.Request) {
		b, err := r.Read(w, req)
		if err != nil {
			t.Error(err)
			return
		}
		defer b.Release()
		select {
		case <-req.Context().Done():
			t.Error("the request was cancelled")
		case <-time.After(2 * time.Minute):
		}
	}
	serve(t, slow, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		for range 2 { // the connection stays of use
			if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"); err != nil {
				t.Fatal(err)
			}
			if status, _ := answer(t, c); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
	})
}

func TestHalfSentBody(t *testing.T) {
	got := make(chan error, 1)
	r := NewReader(Limits{})
	h := func(w http.ResponseWriter, req *http.Request) {
		_, err := r.Read(w, req)
		got <- err
	}
	serve(t, h, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		if _, err := io.WriteString(c, head+strings.Repeat("x", 5000)); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := <-got; !errors.Is(err, ErrIncomplete) {
			t.Errorf("got %v", err)
		}
	})
}

// A refused body is not read to its end at the client's pace.
func TestRefusedBodyDoesNotHoldTheConnection(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnsupportedMediaType) }
	serve(t, refuse, func(t *testing.T, l *pipeListener) {
		c := l.dial()
		defer c.Close()
		start := time.Now()
		if _, err := io.WriteString(c, strings.Replace(head, "1000000", "200000", 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 35*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}
