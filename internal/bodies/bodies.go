// Package bodies reads request bodies within bounds: a limit for each body, a budget for all of them
// together, a guard against clients that stall, and unpacking that stops at the limit. What a request
// costs follows from the bytes that arrived, never from what it declared.
package bodies

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"hydrant/record"
)

// Why a body was not read. Status gives the HTTP status of each.
var (
	ErrTooLarge   = errors.New("the request body is too large")
	ErrTimeout    = errors.New("the request body arrived too slowly")
	ErrIncomplete = errors.New("the request body ended early")
	ErrEncoding   = errors.New("the Content-Encoding is not supported")
	ErrCorrupt    = errors.New("the request body cannot be unpacked")
)

// Status is the HTTP status for an error of this package.
func Status(err error) int {
	var busy *record.Unavailable
	switch {
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrTimeout):
		return http.StatusRequestTimeout
	case errors.Is(err, ErrEncoding):
		return http.StatusUnsupportedMediaType
	case errors.Is(err, ErrIncomplete), errors.Is(err, ErrCorrupt):
		return http.StatusBadRequest
	case errors.As(err, &busy), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Limits bound one body and all of them. A zero field means its default.
type Limits struct {
	MaxBytes   int64         // of one body, packed and unpacked; default 16 MiB, at most 16 MiB
	TotalBytes int64         // of all bodies being read or appended; default 64 MiB
	Wait       time.Duration // the longest wait for a part of TotalBytes; default 10s
	Stall      time.Duration // the longest pause between two bytes; default 10s
	Grace      time.Duration // a body may take Grace + size/MinRate in all; default 30s
	MinRate    int64         // bytes per second; default 64 KiB
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.MaxBytes, record.MaxPutBytes)
	l.MaxBytes = min(l.MaxBytes, record.MaxPutBytes)
	def(&l.TotalBytes, 64<<20)
	def(&l.MinRate, 64<<10)
	span(&l.Wait, 10*time.Second)
	span(&l.Stall, 10*time.Second)
	span(&l.Grace, 30*time.Second)
	return l
}

// Reader reads bodies for all handlers of the daemon, so that they share one budget. Safe for concurrent use.
type Reader struct {
	limits Limits
	budget budget
	bodies sync.Pool // *Body
	pools  [len(classes)]sync.Pool
	gzips  sync.Pool // *gzip.Reader
	zstds  sync.Pool // *zstd.Decoder
	slots  chan struct{}
}

// NewReader returns a reader with the given limits.
func NewReader(l Limits) *Reader {
	l = l.withDefaults()
	return &Reader{
		limits: l,
		budget: budget{free: l.TotalBytes, wait: l.Wait},
		bodies: sync.Pool{New: func() any { return new(Body) }},
		gzips:  sync.Pool{New: func() any { return new(gzip.Reader) }},
		zstds:  sync.Pool{New: newZstd},
		slots:  make(chan struct{}, max(2, runtime.GOMAXPROCS(0))),
	}
}

// newZstd makes a decoder without goroutines of its own, so that the pool may drop it.
// The options are constants in their ranges; the only error NewReader knows is an option out of range.
func newZstd() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindowBytes))
	if err != nil {
		panic(err)
	}
	return d
}

// Stats is a snapshot for metrics.
type Stats struct {
	HeldBytes int64  // of the budget, now
	Waiting   int    // requests that wait for a part of it, now
	Refused   uint64 // requests that gave up waiting, since the start
}

// Stats says how much of the budget is in use.
func (r *Reader) Stats() Stats {
	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	return Stats{HeldBytes: r.limits.TotalBytes - r.budget.free, Waiting: len(r.budget.queue), Refused: r.budget.refused}
}

// Body is one request's body. Not safe for concurrent use.
type Body struct {
	owner *Reader
	own   account
	acct  *account
	class int    // of the buffer under data, -1 for small
	data  []byte // what has been read; its capacity is the buffer
	small [512]byte
}

// Bytes is the body. It is valid until Recycle or Release.
func (b *Body) Bytes() []byte { return b.data }

// Recycle gives the bytes back for other bodies but keeps their share of the budget, for what was made of them.
func (b *Body) Recycle() {
	b.owner.give(b.class, b.data)
	b.class, b.data = -1, nil
}

// Release gives everything back. The body must not be used afterwards.
func (b *Body) Release() {
	r := b.owner
	b.Recycle()
	r.budget.close(b.acct)
	b.owner, b.acct = nil, nil
	r.bodies.Put(b)
}

// Read reads the whole body of req and unpacks it. accept lists the content codings that are allowed
// beside identity ("gzip", "zstd"). On success the caller must Release the body. Errors are those of this
// package, *record.Unavailable, or the context's; after an error the connection will be closed where needed.
func (r *Reader) Read(w http.ResponseWriter, req *http.Request, accept ...string) (*Body, error) {
	coding, err := contentCoding(req, accept)
	if err != nil {
		return nil, err
	}
	b, err := r.ReadRaw(w, req)
	if err != nil || coding == "" {
		return b, err
	}
	if err := b.unpack(req.Context(), coding); err != nil {
		b.Release()
		return nil, err
	}
	return b, nil
}

// ReadRaw reads the whole body of req as it was sent; otherwise it is as Read.
func (r *Reader) ReadRaw(w http.ResponseWriter, req *http.Request) (*Body, error) {
	if req.ContentLength > r.limits.MaxBytes {
		w.Header().Set("Connection", "close")
		return nil, fmt.Errorf("%w: at most %d bytes", ErrTooLarge, r.limits.MaxBytes)
	}
	b := r.newBody()
	g := newGuard(w, r.limits)
	err := b.fill(req.Context(), fillFrom{src: req.Body, declared: req.ContentLength, guard: g})
	g.done(err)
	if err != nil {
		w.Header().Set("Connection", "close")
		b.Release()
		return nil, err
	}
	return b, nil
}

func (r *Reader) newBody() *Body {
	b := r.bodies.Get().(*Body)
	b.own = account{}
	b.owner, b.acct, b.class = r, &b.own, -1
	b.data = b.small[:0]
	return b
}

// fillFrom says where the bytes come from.
type fillFrom struct {
	src      io.Reader
	declared int64  // -1 when unknown
	guard    *guard // nil when src is in memory
}

// fill reads src to its end.
func (b *Body) fill(ctx context.Context, from fillFrom) error {
	limit := b.owner.limits.MaxBytes
	for {
		if len(b.data) == cap(b.data) {
			if err := b.grow(ctx, from); err != nil {
				return err
			}
		}
		if from.guard != nil {
			if err := from.guard.arm(int64(len(b.data))); err != nil {
				return err
			}
		}
		n, err := from.src.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case int64(len(b.data)) > limit:
			return fmt.Errorf("%w: at most %d bytes", ErrTooLarge, limit)
		case err == io.EOF:
			return nil
		case err != nil && from.guard != nil:
			return readError(err)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
}

// readError names what went wrong while bytes were coming in. Everything but a deadline means
// that the rest of the body will never come.
func readError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrTimeout
	}
	return fmt.Errorf("%w: %w", ErrIncomplete, err)
}
