// Package wal is the durable log of one stream: segments of checksummed frames, group commit,
// recovery, reading up to the durable end, and trimming behind the cursor. The format is described
// byte by byte in docs/log-format.md. It knows nothing of batches, journals or destinations.
package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"hydrant/record"
)

// Sizes of the format.
const (
	headerBytes      = 4096 // frames start here
	segHeaderUsed    = 256
	headerCopyAt     = 2048 // far enough that one bad sector does not take both
	frameHeaderBytes = record.PutHeadroom
	blockBytes       = 64 << 10
	frameAlign       = 8

	formatVersion = 2 // 1 had no notes
	flagSeal      = 1
	noteShift     = 16 // of the flags: above are the words of the note
	noteWord      = 4
)

const (
	segMagic   = "HYDRSEG1"
	frameMagic = 0x31524648 // "HFR1", little-endian
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// LogID names a log for its whole life, across epochs.
type LogID [16]byte

// segHeader is the first page of a segment.
type segHeader struct {
	epoch       record.Epoch
	salt        uint64
	num         uint64
	basePos     record.Position
	baseArrival int64
	prevNum     uint64
	prevEnd     int64
	prevLastPos record.Position
	logOffset   int64
	capacity    int64
	log         LogID
	baseCommit  uint64
}

func (h *segHeader) encode() []byte {
	b := make([]byte, headerBytes)
	copy(b, segMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:], h.epoch[:])
	le.PutUint64(b[32:], h.salt)
	le.PutUint64(b[40:], h.num)
	le.PutUint64(b[48:], uint64(h.basePos))
	le.PutUint64(b[56:], uint64(h.baseArrival))
	le.PutUint64(b[64:], h.prevNum)
	le.PutUint64(b[72:], uint64(h.prevEnd))
	le.PutUint64(b[80:], uint64(h.prevLastPos))
	le.PutUint64(b[88:], uint64(h.logOffset))
	le.PutUint64(b[96:], uint64(h.capacity))
	copy(b[104:], h.log[:])
	le.PutUint64(b[120:], h.baseCommit)
	le.PutUint32(b[12:], headerSum(b))
	copy(b[headerCopyAt:], b[:segHeaderUsed])
	return b
}

var errNotSegment = errors.New("no readable segment header")

// headerSum covers all of the header but itself.
func headerSum(b []byte) uint32 {
	return crc32.Update(checksum(b[:12]), castagnoli, b[16:segHeaderUsed])
}

// decodePage reads the header from the first page of a segment, or its copy when the first one is damaged.
func (h *segHeader) decodePage(b []byte) error {
	err := h.decode(b)
	if errors.Is(err, errNotSegment) && len(b) >= headerCopyAt+segHeaderUsed {
		return h.decode(b[headerCopyAt:])
	}
	return err
}

func (h *segHeader) decode(b []byte) error {
	le := binary.LittleEndian
	if len(b) < segHeaderUsed || string(b[:8]) != segMagic || le.Uint32(b[12:]) != headerSum(b) {
		return errNotSegment
	}
	if v := le.Uint32(b[8:]); v < 1 || v > formatVersion {
		return fmt.Errorf("segment format version %d: this binary reads versions 1 to %d", v, formatVersion)
	}
	copy(h.epoch[:], b[16:])
	h.salt = le.Uint64(b[32:])
	h.num = le.Uint64(b[40:])
	h.basePos = record.Position(le.Uint64(b[48:]))
	h.baseArrival = int64(le.Uint64(b[56:]))
	h.prevNum = le.Uint64(b[64:])
	h.prevEnd = int64(le.Uint64(b[72:]))
	h.prevLastPos = record.Position(le.Uint64(b[80:]))
	h.logOffset = int64(le.Uint64(b[88:]))
	h.capacity = int64(le.Uint64(b[96:]))
	copy(h.log[:], b[104:])
	h.baseCommit = le.Uint64(b[120:])
	if !h.possible() {
		return errNotSegment
	}
	return nil
}

// possible says whether the numbers are such as a log could ever reach, so that nobody who adds to them overflows.
func (h *segHeader) possible() bool {
	for _, n := range [...]int64{int64(h.basePos), int64(h.prevLastPos), h.prevEnd, h.logOffset, h.capacity, int64(h.num), int64(h.prevNum), int64(h.baseCommit)} {
		if n < 0 || n > possible {
			return false
		}
	}
	return h.basePos > 0
}

// possible is above every position, offset and number that occurs.
const possible = 1 << 60

// frameHeader is the front of a frame.
type frameHeader struct {
	salt       uint64
	commit     uint64
	prevCommit uint32 // end of the previous commit
	flags      uint32
	firstPos   record.Position
	arrival    int64
	payload    uint32
	count      uint32
	tailSum    uint32
	index, of  uint16
}

func (h *frameHeader) encode(b []byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], frameMagic)
	le.PutUint64(b[8:], h.salt)
	le.PutUint64(b[16:], h.commit)
	le.PutUint32(b[24:], h.prevCommit)
	le.PutUint32(b[28:], h.flags)
	le.PutUint64(b[32:], uint64(h.firstPos))
	le.PutUint64(b[40:], uint64(h.arrival))
	le.PutUint32(b[48:], h.payload)
	le.PutUint32(b[52:], h.count)
	le.PutUint32(b[56:], h.tailSum)
	le.PutUint16(b[60:], h.index)
	le.PutUint16(b[62:], h.of)
	le.PutUint32(b[4:], checksum(b[8:frameHeaderBytes]))
}

// decode reports whether b holds a frame header of the segment with this salt. It also checks every
// length, so that what follows can be read and allocated without further thought.
func (h *frameHeader) decode(b []byte, salt uint64) bool {
	le := binary.LittleEndian
	if le.Uint32(b) != frameMagic || le.Uint64(b[8:]) != salt || le.Uint32(b[4:]) != checksum(b[8:frameHeaderBytes]) {
		return false
	}
	h.salt = salt
	h.commit = le.Uint64(b[16:])
	h.prevCommit = le.Uint32(b[24:])
	h.flags = le.Uint32(b[28:])
	h.firstPos = record.Position(le.Uint64(b[32:]))
	h.arrival = int64(le.Uint64(b[40:]))
	h.payload = le.Uint32(b[48:])
	h.count = le.Uint32(b[52:])
	h.tailSum = le.Uint32(b[56:])
	h.index = le.Uint16(b[60:])
	h.of = le.Uint16(b[62:])
	return h.payload <= record.MaxPutBytes && h.count <= record.MaxPutRecords &&
		h.firstPos > 0 && h.firstPos <= 2*possible && h.commit > 0 && h.commit <= 2*possible
}

func blocksOf(payload int) int { return (payload + blockBytes - 1) / blockBytes }

// tailBytes is the length of the tail: block checksums, record ends, and the note in words.
func tailBytes(payload, count, words int) int { return 4*(blocksOf(payload)+count) + noteWord*words }

// noteWords is the room of a note in a tail: its length, its bytes, and what fills the last word.
func noteWords(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + (n+noteWord-1)/noteWord
}

// frameBytes is the length of a frame on disk, padding included.
func frameBytes(payload, count, words int) int {
	n := frameHeaderBytes + payload + tailBytes(payload, count, words)
	return (n + frameAlign - 1) &^ (frameAlign - 1)
}

func (h *frameHeader) words() int { return int(h.flags >> noteShift) }

func (h *frameHeader) size() int64 {
	return int64(frameBytes(int(h.payload), int(h.count), h.words()))
}

func (h *frameHeader) tail() int { return tailBytes(int(h.payload), int(h.count), h.words()) }

func (h *frameHeader) lastPos() record.Position { return h.firstPos + record.Position(h.count) - 1 }

// appendTail writes block checksums, record ends, the note and padding behind the payload and returns the
// grown buffer with the checksum of the tail. buf starts with the frame header's room.
func appendTail(buf []byte, ends []uint32, note []byte) ([]byte, uint32) {
	payload := buf[frameHeaderBytes:]
	words := noteWords(len(note))
	size := frameBytes(len(payload), len(ends), words)
	out := buf
	if cap(out) < size {
		out = make([]byte, len(buf), size+size/8)
		copy(out, buf)
		payload = out[frameHeaderBytes:]
	}
	tailAt := len(out)
	out = out[:size]
	le := binary.LittleEndian
	at := tailAt
	for i := 0; i < len(payload); i += blockBytes {
		le.PutUint32(out[at:], checksum(payload[i:min(i+blockBytes, len(payload))]))
		at += 4
	}
	for _, e := range ends {
		le.PutUint32(out[at:], e)
		at += 4
	}
	clear(out[at:])
	if words > 0 {
		le.PutUint32(out[at:], uint32(len(note)))
		copy(out[at+noteWord:], note)
		at += noteWord * words
	}
	return out, checksum(out[tailAt:at])
}

// checkTail says whether the tail fits its checksum and its record ends never decrease and end with the payload.
func checkTail(tail []byte, h *frameHeader) bool {
	if checksum(tail) != h.tailSum {
		return false
	}
	prev := uint32(0)
	ends := tail[4*blocksOf(int(h.payload)):][:4*int(h.count)]
	for i := 0; i < len(ends); i += 4 {
		e := binary.LittleEndian.Uint32(ends[i:])
		if e < prev || e > h.payload {
			return false
		}
		prev = e
	}
	return prev == h.payload
}

// noteOf is the note within a checked tail; nil when there is none.
func noteOf(tail []byte, h *frameHeader) []byte {
	if h.words() == 0 {
		return nil
	}
	b := tail[len(tail)-noteWord*h.words():]
	n := int(binary.LittleEndian.Uint32(b))
	if n > len(b)-noteWord {
		return nil // no note that we wrote
	}
	return b[noteWord : noteWord+n]
}
