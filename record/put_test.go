package record

import (
	"bytes"
	"testing"
)

func TestPutKeepsRecordsApart(t *testing.T) {
	p := NewPut()
	p.Add([]byte("one"))
	p.Add(nil)
	copy(p.Reserve(100), "two, and room that is not used")
	p.Commit(3)
	p.Reserve(5) // no Commit: nothing changes
	if p.Count() != 3 || p.Bytes() != 6 {
		t.Fatalf("%d records, %d bytes", p.Count(), p.Bytes())
	}
	for i, want := range []string{"one", "", "two"} {
		if got := string(p.Record(i)); got != want {
			t.Errorf("record %d is %q, want %q", i, got, want)
		}
	}
	buf, ends := p.Raw()
	if len(buf) != PutHeadroom+6 || !bytes.Equal(buf[PutHeadroom:], []byte("onetwo")) || len(ends) != 3 || ends[2] != 6 {
		t.Errorf("raw form %q %v", buf[PutHeadroom:], ends)
	}
	p.Release()
	if again := NewPut(); again.Count() != 0 || again.Bytes() != 0 {
		t.Error("a put from the pool is not empty")
	}
}

func TestPutGrowsWithoutLosingRecords(t *testing.T) {
	p := NewPut()
	one := bytes.Repeat([]byte("x"), 1000)
	for range 20_000 {
		p.Add(one)
	}
	for _, i := range []int{0, 9_999, 19_999} {
		if !bytes.Equal(p.Record(i), one) {
			t.Fatalf("record %d changed", i)
		}
	}
}

func BenchmarkPutAdd(b *testing.B) {
	one := bytes.Repeat([]byte("x"), 670)
	b.SetBytes(int64(len(one)) * 500)
	b.ReportAllocs()
	for b.Loop() {
		p := NewPut()
		for range 500 {
			p.Add(one)
		}
		p.Release()
	}
}
