package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// fuzzSeeds are the segments of a log with commits of all kinds.
func fuzzSeeds(t testing.TB) (first, second []byte) {
	t.Helper()
	mem := vfs.NewMem()
	for range 2 {
		r := openRig(t, mem, 0)
		r.append(t, "one", "", "three")
		r.together(t, mem, putOf("a"), putOf("b", "c"), putOf("d"))
		r.append(t, string(bytes.Repeat([]byte("large"), 300)))
		r.close(t)
	}
	read := func(n uint64) []byte {
		b, err := vfs.ReadFile(mem, "d/s/log/"+segmentName(n), 1<<26)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return read(1), read(2)
}

func FuzzSegmentHeader(f *testing.F) {
	first, second := fuzzSeeds(f)
	f.Add(first[:headerBytes])
	f.Add(second[:segHeaderUsed])
	f.Add([]byte(segMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, again segHeader
		if h.decode(b) != nil {
			return
		}
		if err := again.decodePage(h.encode()); err != nil || again != h {
			t.Fatalf("%+v becomes %+v: %v", h, again, err)
		}
	})
}

func FuzzFrameHeader(f *testing.F) {
	first, _ := fuzzSeeds(f)
	f.Add(first[headerBytes : headerBytes+frameHeaderBytes])
	f.Add(make([]byte, frameHeaderBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < frameHeaderBytes {
			return
		}
		binary.LittleEndian.PutUint32(b, frameMagic)
		binary.LittleEndian.PutUint32(b[4:], checksum(b[8:frameHeaderBytes]))
		var h, again frameHeader
		salt := binary.LittleEndian.Uint64(b[8:])
		if !h.decode(b, salt) {
			return
		}
		if n := h.size(); n < frameHeaderBytes || n > 32<<20 {
			t.Fatalf("size %d", n)
		}
		out := make([]byte, frameHeaderBytes)
		h.encode(out)
		if !again.decode(out, salt) || again != h || !bytes.Equal(out, b[:frameHeaderBytes]) {
			t.Fatalf("%+v becomes %+v", h, again)
		}
	})
}

// FuzzSegment takes two files as the segments of a log, as they are or with their checksums put right, so that every field is met
// with wild values. Opening, reading and going on may not fail, hang or take more memory than one segment.
func FuzzSegment(f *testing.F) {
	first, second := fuzzSeeds(f)
	f.Add(first, second, true)
	f.Add(first, second[:5000], false)
	f.Add(first[:headerBytes+100], []byte{}, true)
	f.Add(second, first, true)
	f.Add([]byte{}, make([]byte, 10_000), false)
	f.Fuzz(func(t *testing.T, first, second []byte, mend bool) {
		mem := vfs.NewMem()
		if err := vfs.MkdirAll(mem, "d/s/log"); err != nil {
			t.Fatal(err)
		}
		for i, b := range [][]byte{first, second} {
			if mend {
				b = mended(b, uint64(i+1))
			}
			if err := vfs.WriteFileAtomic(mem, "d/s/log/"+segmentName(uint64(i+1)), b); err != nil {
				t.Fatal(err)
			}
		}
		readWild(t, mem, len(first)+len(second)+1)
	})
}

// mended gives a file the magic, identity and checksums that make it be believed.
func mended(file []byte, num uint64) []byte {
	b := bytes.Clone(file)
	if len(b) < segHeaderUsed {
		return b
	}
	le := binary.LittleEndian
	copy(b, segMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint64(b[40:], num)
	id := LogID{1}
	copy(b[104:], id[:])
	le.PutUint32(b[12:], headerSum(b))
	for at := headerBytes; at+frameHeaderBytes <= len(b); at += frameAlign {
		if le.Uint32(b[at:]) != frameMagic {
			continue
		}
		copy(b[at+8:], b[32:40])
		payload, count, words := int(le.Uint32(b[at+48:])), int(le.Uint32(b[at+52:])), int(le.Uint16(b[at+30:]))
		if payload <= len(b) && count <= len(b) && at+frameBytes(payload, count, words) <= len(b) {
			tail := b[at+frameHeaderBytes+payload:][:tailBytes(payload, count, words)]
			le.PutUint32(b[at+56:], checksum(tail))
		}
		le.PutUint32(b[at+4:], checksum(b[at+8:at+frameHeaderBytes]))
	}
	return b
}

func readWild(t *testing.T, mem *vfs.Mem, size int) {
	if _, err := Verify(mem, "d/s/log", nil); err != nil {
		var h segHeader
		if !wrongVersion(mem, &h) {
			t.Fatal(err)
		}
		return
	}
	r := openRig(t, mem, 0)
	rd := r.log.NewReader(0)
	frames := 0
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if frames++; frames > size {
			t.Fatal("more frames than bytes")
		}
		if err := f.Sizes(func(record.Position, int) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if err := f.Records(0, noPosition, func(record.Record) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if cap(rd.scan.win.buf) > SegmentBytes {
			t.Fatalf("%d bytes allocated for a file of %d", cap(rd.scan.win.buf), size)
		}
	}
	rd.Close()
	id := r.append(t, "behind all that")
	again := r.log.NewReader(id.Pos)
	if f, err := again.Next(); err != nil || f.First() != id {
		t.Fatalf("the next record is not read: %v", err)
	}
	again.Close()
	r.close(t)
}

// wrongVersion says whether one of the files is of a version that this binary refuses.
func wrongVersion(mem *vfs.Mem, h *segHeader) bool {
	for n := uint64(1); n <= 2; n++ {
		b, err := vfs.ReadFile(mem, "d/s/log/"+segmentName(n), 1<<30)
		if err != nil {
			return false
		}
		if err := h.decodePage(b); err != nil && !errors.Is(err, errNotSegment) {
			return true
		}
	}
	return false
}
