package redshift

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"hydrant/record"
)

// A statement carries so much of the object; a single record may be larger.
const (
	chunkBytes   = 4 << 20
	chunkRecords = 10_000
)

// insertObject reads the object, which may be gzipped, and inserts its JSON values. No more than a chunk of it is in memory.
func (l *Loader) insertObject(ctx context.Context, ld *record.Load, run func(sql string) *failure) *failure {
	body, err := l.o.ReadObject(ctx, ld.Bucket, ld.Key)
	if err != nil {
		return &failure{at: atCopy, name: nameFile, text: "the object cannot be opened", cause: err, unsent: true}
	}
	defer body.Close()
	raw := &counted{r: body}
	values, err := unzipped(raw)
	if err != nil {
		return unreadable(err)
	}
	if f := l.insertValues(json.NewDecoder(values), run); f != nil {
		return f
	}
	if _, err := io.Copy(io.Discard, raw); err != nil {
		return unreadable(err)
	}
	if raw.n != ld.Size {
		return &failure{at: atCopy, name: nameLoad, text: fmt.Sprintf("the object has %d bytes, not %d", raw.n, ld.Size), unsent: true}
	}
	return nil
}

func (l *Loader) insertValues(in *json.Decoder, run func(sql string) *failure) *failure {
	for {
		chunk, err := nextChunk(in)
		if err != nil {
			return unreadable(err)
		}
		if chunk == "" {
			return nil
		}
		if f := run(l.insertCommand(chunk)); f != nil {
			return f
		}
	}
}

// nextChunk makes a JSON array of the next values, "" at the end.
func nextChunk(in *json.Decoder) (string, error) {
	var b strings.Builder
	for n := 0; n < chunkRecords && b.Len() < chunkBytes; n++ {
		var v json.RawMessage
		err := in.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		b.WriteByte("[,"[min(n, 1)])
		b.Write(v)
	}
	if b.Len() > 0 {
		b.WriteByte(']')
	}
	return b.String(), nil
}

// insertCommand fills the columns from the members of their names; without a list, all columns.
func (l *Loader) insertCommand(array string) string {
	from := " FROM json_populate_recordset(NULL::" + l.table + ", " + l.literal(array) + "::json)"
	if len(l.o.Columns) == 0 {
		return "INSERT INTO " + l.table + " SELECT *" + from
	}
	names := quoteNames(l.o.Columns)
	return "INSERT INTO " + l.table + " (" + names + ") SELECT " + names + from
}

// unreadable tells of an object that ends early or is no JSON. The decoder's words quote it, and stay here.
func unreadable(err error) *failure {
	f := &failure{at: atCopy, name: nameLoad, unsent: true}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		f.text = fmt.Sprintf("the object is no JSON before byte %d", syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		f.text = "the object ends within a value"
	default:
		f.text, f.cause = "the object cannot be read", err
	}
	return f
}

// unzipped undoes gzip where it is met.
func unzipped(r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := b.Peek(2); string(magic) == "\x1f\x8b" {
		return gzip.NewReader(b)
	}
	return b, nil
}

// counted counts the bytes read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
