package firehose

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"hydrant/internal/base64x"
	"hydrant/internal/bodies/strictjson"
	"hydrant/record"
)

// Limits of one put, as the API documents them.
const (
	maxRecordBytes = 1_024_000
	maxBatchBytes  = 4 << 20
	maxRecords     = 500
	maxNameBytes   = 64
)

var (
	errUTF8      = errors.New("the stream name is not valid UTF-8")
	errBase64    = errors.New("a record's data is not base64")
	errDuplicate = errors.New("a member occurs twice")
	errType      = errors.New("a member has the wrong type")
)

// putParser reads the body of PutRecord or PutRecordBatch in one pass and decodes the data straight into
// a put. Members may come in any order; unknown ones are checked and skipped; null means absent; a known
// member that occurs twice is an error. What the API's limits forbid is noted in the fields below and
// left out of the put; check says what is wrong with it.
type putParser struct {
	b       []byte
	i       int
	single  bool // PutRecord
	put     *record.Put
	scratch []byte // for data with escapes

	name    string
	hasName bool
	hasData bool // Record or Records is there
	count   int  // records seen, also those over the limit
	bytes   int64
	wrong   []flaw
}

// flaw is a record that the API forbids.
type flaw struct {
	index int // from 0
	kind  flawKind
}

type flawKind int

const (
	nullRecord flawKind = iota
	noData
	tooLong
)

// parsePut reads body. An error means that it cannot be understood at all.
func parsePut(body []byte, single bool, put *record.Put) (*putParser, error) {
	p := &putParser{b: body, single: single, put: put}
	put.Grow(base64x.Max(min(len(body), maxBatchBytes*4/3)))
	if err := p.object(p.topMember); err != nil {
		return nil, err
	}
	return p, strictjson.End(p.b, p.i)
}

// object reads an object and calls member for each of its members, standing before the value.
// member returns the flag of a known member, 0 for others.
func (p *putParser) object(member func(key []byte) (known uint8, err error)) (err error) {
	if p.i, err = strictjson.Byte(p.b, p.i, '{'); err != nil {
		return err
	}
	p.i = strictjson.Space(p.b, p.i)
	if p.peek() == '}' {
		p.i++
		return nil
	}
	var seen uint8
	for {
		key, err := p.key()
		if err != nil {
			return err
		}
		known, err := member(key)
		if err != nil {
			return err
		}
		if seen&known != 0 {
			return p.errorf(errDuplicate)
		}
		seen |= known
		more, err := p.more('}')
		if err != nil || !more {
			return err
		}
	}
}

// key reads a member's name and the colon behind it.
func (p *putParser) key() ([]byte, error) {
	from := strictjson.Space(p.b, p.i)
	end, escaped, err := strictjson.String(p.b, from)
	if err != nil {
		return nil, err
	}
	key := p.b[from+1 : end-1]
	if escaped {
		key = strictjson.Unquote(nil, key)
	}
	p.i, err = strictjson.Byte(p.b, end, ':')
	p.i = strictjson.Space(p.b, p.i)
	return key, err
}

// more reads a comma, or the closing bracket.
func (p *putParser) more(shut byte) (bool, error) {
	p.i = strictjson.Space(p.b, p.i)
	switch p.peek() {
	case ',':
		p.i++
		return true, nil
	case shut:
		p.i++
		return false, nil
	}
	return false, strictjson.Unexpected(p.b, p.i)
}

func (p *putParser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *putParser) errorf(err error) error { return fmt.Errorf("at byte %d: %w", p.i, err) }

func (p *putParser) skip(depth int) (err error) {
	p.i, err = strictjson.Skip(p.b, p.i, depth)
	return err
}

// absent reads null where it stands.
func (p *putParser) absent(depth int) (bool, error) {
	if p.peek() != 'n' {
		return false, nil
	}
	return true, p.skip(depth)
}

func (p *putParser) topMember(key []byte) (uint8, error) {
	switch {
	case string(key) == "DeliveryStreamName":
		return 1, p.streamName()
	case string(key) == "Records" && !p.single:
		return 2, p.records()
	case string(key) == "Record" && p.single:
		return 2, p.theRecord()
	}
	return 0, p.skip(1)
}

func (p *putParser) streamName() error {
	if null, err := p.absent(1); null {
		return err
	}
	if p.peek() != '"' {
		return p.wrongType(1)
	}
	end, escaped, err := strictjson.String(p.b, p.i)
	if err != nil {
		return err
	}
	raw := p.b[p.i+1 : end-1]
	if escaped {
		raw = strictjson.Unquote(nil, raw)
	}
	if !utf8.Valid(raw) {
		return p.errorf(errUTF8)
	}
	p.i, p.name, p.hasName = end, string(raw), true
	return nil
}

// wrongType is the error for a value that must be something else, unless it is no JSON at all.
func (p *putParser) wrongType(depth int) error {
	if err := p.skip(depth); err != nil {
		return err
	}
	return p.errorf(errType)
}

func (p *putParser) theRecord() error {
	if null, err := p.absent(1); null {
		return err
	}
	p.hasData = true
	return p.record(1)
}

func (p *putParser) records() (err error) {
	if null, err := p.absent(1); null {
		return err
	}
	if p.peek() != '[' {
		return p.wrongType(1)
	}
	p.hasData = true
	p.i = strictjson.Space(p.b, p.i+1)
	if p.peek() == ']' {
		p.i++
		return nil
	}
	for {
		p.i = strictjson.Space(p.b, p.i)
		if err := p.record(2); err != nil {
			return err
		}
		if more, err := p.more(']'); err != nil || !more {
			return err
		}
	}
}

// record reads one record, in depth containers. Beyond the limit of records only their form is checked.
func (p *putParser) record(depth int) error {
	p.count++
	if p.count > maxRecords {
		return p.skip(depth)
	}
	if null, err := p.absent(depth); null {
		if !p.single {
			p.wrong = append(p.wrong, flaw{index: p.count - 1, kind: nullRecord})
		}
		return err
	}
	if p.peek() != '{' {
		return p.wrongType(depth)
	}
	has := false
	err := p.object(func(key []byte) (uint8, error) {
		if string(key) != "Data" {
			return 0, p.skip(depth + 1)
		}
		null, err := p.absent(depth + 1)
		if null || err != nil {
			return 1, err
		}
		has = true
		return 1, p.data(depth + 1)
	})
	if err == nil && !has {
		p.wrong = append(p.wrong, flaw{index: p.count - 1, kind: noData})
	}
	return err
}

// data decodes the base64 string that stands here into the put.
func (p *putParser) data(depth int) error {
	if p.peek() != '"' {
		return p.wrongType(depth)
	}
	n := bytes.IndexByte(p.b[p.i+1:], '"')
	if n < 0 {
		return strictjson.Unexpected(p.b, len(p.b))
	}
	src := p.b[p.i+1 : p.i+1+n]
	if p.decode(src) {
		p.i += n + 2
		return nil
	}
	// Base64 knows no backslash: either there are escapes, such as \/, or it is wrong.
	end, escaped, err := strictjson.String(p.b, p.i)
	if err != nil {
		return err
	}
	if escaped {
		p.scratch = strictjson.Unquote(p.scratch[:0], p.b[p.i+1:end-1])
		if p.decode(p.scratch) {
			p.i = end
			return nil
		}
	}
	return p.errorf(errBase64)
}

// decode makes a record of src. One that is too long, or would make the put too long, is only checked.
func (p *putParser) decode(src []byte) bool {
	n, ok := base64x.Decode(p.put.Reserve(base64x.Max(len(src))), src)
	if !ok {
		return false
	}
	p.bytes += int64(n)
	switch {
	case n > maxRecordBytes:
		p.wrong = append(p.wrong, flaw{index: p.count - 1, kind: tooLong})
	case p.bytes <= maxBatchBytes:
		p.put.Commit(n)
	}
	return true
}
