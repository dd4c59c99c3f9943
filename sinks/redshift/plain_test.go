package redshift

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"hydrant/record"
)

func plainWorld(t *testing.T, change func(*Options)) *world {
	w := overWire(t, func(o *Options) {
		o.Mode, o.PutManifest, o.Credentials = ModePlain, nil, nil
		if change != nil {
			change(o)
		}
	})
	w.engine.Plain = true
	return w
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	z.Close()
	return b.String()
}

func TestPlain(t *testing.T) {
	for _, columns := range [][]string{nil, {"name", "id"}} {
		w := plainWorld(t, func(o *Options) { o.Columns = columns })
		for i, body := range []string{
			"{\"id\":1,\"name\":\"it's \\\"ü\\\" \\\\ C:\\\\x\"}\n{\"id\":2,\"other\":true}\n",
			zipped(`{"id":3,"name":{"a":1}} {"id":4}`),
			"",
		} {
			ld := w.batch(i, body)
			w.mustLoad(t, ld)
			w.mustLoad(t, ld)
		}
		w.mustHold(t, `1|it's "ü" \ C:\x`, "2|NULL", `3|{"a":1}`, "4|NULL")
		if got := w.memory.Rows("hydrant_loads"); len(got) != 3 || !strings.Contains(got[0], `s3://lake/logs/it's\0.json`) {
			t.Errorf("ledger %q", got)
		}
	}
}

// An object larger than a statement is loaded in several, and all of it or nothing.
func TestPlainChunks(t *testing.T) {
	w := plainWorld(t, nil)
	var b strings.Builder
	for i := range chunkRecords + 5 {
		fmt.Fprintf(&b, "{\"id\":%d}\n", i)
	}
	big := fmt.Sprintf("{\"name\":%q}\n", strings.Repeat("x", chunkBytes+1))
	w.mustRetry(t, w.batch(1, b.String()+big+"{broken"), "Redshift.DataLoadFailed", true)
	w.mustHold(t)
	w.mustLoad(t, w.batch(1, b.String()+big))
	if n := len(w.memory.Rows("events")); n != chunkRecords+6 {
		t.Errorf("%d rows", n)
	}
	inserts := 0
	for _, sql := range w.engine.Statements() {
		if strings.Contains(sql, "json_populate_recordset") {
			inserts++
			if len(sql) > 3*chunkBytes {
				t.Errorf("a statement of %d bytes", len(sql))
			}
		}
	}
	if inserts != 2*2 {
		t.Errorf("%d inserts", inserts)
	}
}

func TestPlainFailures(t *testing.T) {
	for name, c := range map[string]struct {
		body, code, says string
		spoil            func(w *world, ld *record.Load)
	}{
		"no object":  {`{}`, "MissingS3File", "opened", func(w *world, ld *record.Load) { delete(w.lake.objects, "lake/"+ld.Key) }},
		"other size": {`{"id":1}`, "DataLoadFailed", "has 8 bytes, not 9", func(_ *world, ld *record.Load) { ld.Size = 9 }},
		"no JSON":    {"{\"id\":1}\nsecret-body", "DataLoadFailed", "no JSON before byte 1", nil},
		"torn":       {`{"id":1}{"id":`, "DataLoadFailed", "ends within", nil},
		"torn gzip":  {zipped(strings.Repeat(`{"id":1}`, 9))[:30], "DataLoadFailed", "ends within", nil},
		"bad gzip":   {"\x1f\x8bnonsense-that-is-long-enough", "DataLoadFailed", "cannot be read", nil},
		"bad value":  {`{"id":"secret-body"}`, "DataLoadFailed", "the data was refused, column id (SQLSTATE 22P02)", nil},
		"no objects": {`["secret-body"]`, "DataLoadFailed", "the data was refused (SQLSTATE 22023)", nil},
		"no table":   {`{}`, "TableNotFound", "events", func(w *world, _ *record.Load) { w.memory.Drop("events") }},
	} {
		w := plainWorld(t, nil)
		ld := w.batch(1, c.body)
		if c.spoil != nil {
			c.spoil(w, ld)
		}
		out := w.mustRetry(t, ld, "Redshift."+c.code, true)
		if !strings.Contains(out.Err.Error(), c.says) || strings.Contains(out.Err.Error(), "secret-body") {
			t.Errorf("%s: %v, want %s", name, out.Err, c.says)
		}
		w.mustHold(t)
	}
}

// stuck is an object whose reader ends with the context only.
type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (stuck) Close() error { return nil }

func TestPlainCancelled(t *testing.T) {
	reading := make(chan struct{})
	w := plainWorld(t, func(o *Options) {
		o.ReadObject = func(ctx context.Context, _, _ string) (io.ReadCloser, error) {
			close(reading)
			return stuck{ctx}, nil
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-reading
		cancel()
	}()
	if out := w.Load(ctx, w.batch(1, `{"id":1}`)); out.Kind != record.Retry || out.Err == nil {
		t.Errorf("%+v", out)
	}
	w.mustHold(t)
}
