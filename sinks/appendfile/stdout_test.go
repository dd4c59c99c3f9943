package appendfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"

	"hydrant/record"
)

// pipe takes as many bytes as it has room for.
type pipe struct {
	bytes.Buffer
	room int
	err  error // when it has none; nil: it says nothing
}

func (p *pipe) Write(b []byte) (int, error) {
	n := min(len(b), p.room)
	p.room -= n
	p.Buffer.Write(b[:n])
	if n < len(b) {
		return n, p.err
	}
	return n, nil
}

func TestStandardOutput(t *testing.T) {
	p := &pipe{room: 1 << 20}
	m := newMem(t)
	s := open(t, m, func(o *Options) { o.Stdout = p })
	mustPut(t, s, "-/one", "1\n", 1)
	mustPut(t, s, "-/two", "2\n", 2)
	mustExist(t, s, "-/one", "1\n", 1)
	mustHead(t, s, "-/one", 0)
	if p.String() != "1\n2\n" {
		t.Errorf("%q", p.String())
	}
	must(t, s.Close())
	if out := put(s, "-/three", "3", 3); out.Code != "File.Closed" {
		t.Errorf("%+v", out)
	}
	s = open(t, m, func(o *Options) { o.Stdout = p })
	mustPut(t, s, "-/one", "1\n", 1) // what an earlier process wrote is not known
}

func TestStandardOutputFails(t *testing.T) {
	for _, c := range []struct {
		room int
		err  error
		want error
	}{{0, syscall.EPIPE, syscall.EPIPE}, {3, syscall.EPIPE, syscall.EPIPE}, {3, nil, io.ErrShortWrite}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			p := &pipe{room: c.room, err: c.err}
			s := open(t, newMem(t), func(o *Options) { o.Stdout = p })
			out := put(s, "-/one", "12345", 1)
			if out.Kind != record.Retry || out.Code != "File.IOError" || out.Unsent != (c.room == 0) || out.Err != c.want {
				t.Fatalf("%+v", out)
			}
			p.room = 100
			mustPut(t, s, "-/one", "12345", 1)
			if got := p.String(); got != "12345"[:c.room]+"12345" {
				t.Errorf("%q", got)
			}
		})
	}
}

// Many write at once; no batch stands within another.
func TestStandardOutputIsShared(t *testing.T) {
	p := &pipe{room: 1 << 30}
	s := open(t, newMem(t), func(o *Options) { o.Stdout = p })
	want := map[string]int{}
	var wg sync.WaitGroup
	for i := range 20 {
		body := fmt.Sprintf("%0*d", chunkBytes+7, i)
		want[body]++
		wg.Go(func() { mustPut(t, s, fmt.Sprintf("-/%d", i), body, i+1) })
	}
	wg.Wait()
	for b := p.Bytes(); len(b) > 0; b = b[chunkBytes+7:] {
		want[string(b[:chunkBytes+7])]--
	}
	for _, n := range want {
		if n != 0 {
			t.Fatal("a batch is torn")
		}
	}
}

func TestDefaults(t *testing.T) {
	o := withDefaults(Options{})
	if o.FS == nil || o.Stdout != os.Stdout || o.Logger == nil || o.Now().IsZero() {
		t.Errorf("%+v", o)
	}
}
