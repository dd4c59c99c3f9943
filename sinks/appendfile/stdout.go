package appendfile

import (
	"context"
	"fmt"
	"io"

	"hydrant/record"
)

// stdoutPath is the path that stands for standard output.
const stdoutPath = "-"

// print writes the object to standard output. The caller has the turn of the path "-".
func (s *Store) print(ctx context.Context, name string, o *record.Object) record.Outcome {
	if id, ok := s.printed.known[name]; ok {
		return record.Outcome{Kind: record.Exists, Found: &id}
	}
	var done int64
	err := eachChunk(ctx, o, func(b []byte, _ int64) error {
		n, err := s.o.Stdout.Write(b)
		if err == nil && n < len(b) {
			err = io.ErrShortWrite
		}
		done += int64(max(n, 0))
		return err
	})
	if err != nil {
		return failed(err, done > 0)
	}
	s.printed.add(name, o.Identity)
	return record.Outcome{Kind: record.Delivered}
}

// eachChunk reads the object's body from its start and hands it on in pieces, with their offsets.
func eachChunk(ctx context.Context, o *record.Object, do func(b []byte, off int64) error) error {
	if _, err := o.Body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	buf := make([]byte, max(1, min(o.Size, chunkBytes)))
	for off := int64(0); off < o.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(o.Body, buf[:min(int64(len(buf)), o.Size-off)])
		if err != nil {
			return fmt.Errorf("%w: %w", errBody, err)
		}
		if err := do(buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}
