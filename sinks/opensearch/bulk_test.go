package opensearch

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/record"
)

func TestFillAllocatesNothing(t *testing.T) {
	n := newNames(&Options{Index: "logs", Rotation: "hour", TypeName: "doc"})
	ts := newTimestamp("@timestamp")
	req := sinktest.NewRequest(1, `{"a":1,"b":{"c":["d\"",{}]}}`, "{\"has\":1,\"@timestamp\":2}\n", `[1,2]`)
	for i := range req.Items {
		req.Items[i].ArrivalMillis += int64(i) * millisAnHour
	}
	b := &bulk{}
	if got := testing.AllocsPerRun(100, func() {
		b.body, b.sent, b.hour = b.body[:0], b.sent[:0], -1
		b.fill(&n, &ts, req.Items)
	}); got != 0 {
		t.Errorf("%v allocations for %d records", got, len(req.Items))
	}
	if lines := strings.Split(string(b.body), "\n"); len(lines) != 7 || lines[6] != "" || !strings.Contains(lines[2], "-2026-11-18-12") {
		t.Errorf("%q", lines)
	}
}

func TestAnswerAllocatesLittle(t *testing.T) {
	item := strings.Split(full, "\n")[1]
	for name, each := range map[string]string{"short": taken, "full": strings.TrimRight(item, ",")} {
		b := []byte(`{"errors":false,"items":[` + strings.Repeat(each+",", 999) + each + `]}`)
		if got := testing.AllocsPerRun(20, func() {
			if n, ok := readAnswer(b, func(int, answerItem) {}); n != 1000 || !ok {
				t.Fatalf("%s: %d %v", name, n, ok)
			}
		}); got > 10 {
			t.Errorf("%s: %v allocations for 1000 items", name, got)
		}
	}
}

func TestPayload(t *testing.T) {
	b := (&bulkPool{}).get()
	for _, text := range []string{strings.Repeat("some text ", 1000), "short"} { // the writer is used again
		b.body = append(b.body[:0], text...)
		packed, err := b.payload(true)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != text {
			t.Errorf("%d bytes came back: %v", len(got), err)
		}
	}
	if plain, _ := b.payload(false); string(plain) != "short" {
		t.Errorf("%s", plain)
	}
}

func TestPoolKeepsNoLargeBuffers(t *testing.T) {
	var p bulkPool
	p.put(&bulk{body: make([]byte, maxPooled+1)})
	if b := p.get(); cap(b.body) > maxPooled {
		t.Errorf("%d bytes were kept", cap(b.body))
	}
}

// A payload gives nothing away once it is shut: its memory has another owner then.
func TestShutPayload(t *testing.T) {
	p := &payload{b: []byte("abcdef")}
	r := p.reader()
	if n, err := r.Read(make([]byte, 3)); n != 3 || err != nil {
		t.Error(n, err)
	}
	again, _ := p.again()
	if got, err := io.ReadAll(again); string(got) != "abcdef" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	p.shut()
	if n, err := r.Read(make([]byte, 3)); n != 0 || err != errAttemptOver {
		t.Error(n, err)
	}
}

func TestOrderOfVerdicts(t *testing.T) {
	b := (&bulkPool{}).get()
	n := newNames(&Options{Index: "i"})
	b.fill(&n, &timestamp{}, sinktest.NewRequest(1, "", `{}`, "\n", `{}`).Items)
	if len(b.bad) != 2 || b.bad[0].Item != 0 || b.bad[1].Item != 2 || len(b.sent) != 2 || b.sent[0] != 1 || b.sent[1] != 3 || b.bad[0].Kind != record.Rejected {
		t.Errorf("%+v %v", b.bad, b.sent)
	}
}
