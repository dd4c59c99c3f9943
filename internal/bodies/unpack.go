package bodies

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"hydrant/record"
)

// MaxWindowBytes is the largest window a zstd body may ask for (RFC 8878 recommends to support 8 MiB).
const MaxWindowBytes = 8 << 20

// contentCoding is the coding to undo, "" for none.
func contentCoding(req *http.Request, accept []string) (string, error) {
	c := strings.ToLower(strings.TrimSpace(strings.Join(req.Header["Content-Encoding"], ",")))
	if c == "x-gzip" {
		c = "gzip"
	}
	switch {
	case c == "", c == "identity":
		return "", nil
	case slices.Contains(accept, c) && (c == "gzip" || c == "zstd"):
		return c, nil
	}
	return "", fmt.Errorf("%w: use one of %s, or none", ErrEncoding, strings.Join(accept, ", "))
}

// unpack replaces the body by its unpacked form. It works from memory, so that no client can hold a
// decoder by sending slowly; the number of decoders at work is bounded, and so is their memory.
func (b *Body) unpack(ctx context.Context, coding string) error {
	r := b.owner
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer func() { <-r.slots }()

	out := &Body{owner: r, acct: b.acct, class: -1}
	out.data = out.small[:0]
	var err error
	if coding == "zstd" {
		err = r.unzstd(ctx, out, b.data)
	} else {
		err = r.gunzip(ctx, out, b.data)
	}
	if err != nil {
		out.drop()
		return err
	}
	b.drop()
	b.class, b.data = out.class, out.data
	return nil
}

// enter waits for the right to run a decoder.
func (r *Reader) enter(ctx context.Context) error {
	timer := time.NewTimer(r.limits.Wait)
	defer timer.Stop()
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return &record.Unavailable{Reason: "too many request bodies are being unpacked", RetryAfter: time.Second}
	}
}

func (r *Reader) gunzip(ctx context.Context, out *Body, packed []byte) error {
	z := r.gzips.Get().(*gzip.Reader)
	defer r.gzips.Put(z)
	if err := z.Reset(bytes.NewReader(packed)); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return out.fill(ctx, fillFrom{src: z, declared: -1})
}

func (r *Reader) unzstd(ctx context.Context, out *Body, packed []byte) error {
	if len(packed) == 0 {
		return fmt.Errorf("%w: %w", ErrCorrupt, io.ErrUnexpectedEOF)
	}
	z := r.zstds.Get().(*zstd.Decoder)
	defer r.zstds.Put(z)
	if err := z.Reset(bytes.NewReader(packed)); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	defer func() { _ = z.Reset(nil) }() // lets go of the body; it cannot fail
	return out.fill(ctx, fillFrom{src: z, declared: -1})
}
