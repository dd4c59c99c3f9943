package httpin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	"hydrant/internal/base64x"
	"hydrant/internal/bodies/strictjson"
	"hydrant/record"
)

// maxDelivered is how many records a request of Firehose's protocol may hold.
const maxDelivered = 10_000

// deliveryForm reads the body of Firehose's HTTP delivery protocol. It does not mind what it does not know; nothing that could be a record
// is passed over.
type deliveryForm struct {
	b       []byte
	i       int
	put     *record.Put
	id      string                            // requestId, "" when absent or null
	list    bool                              // records were met
	count   int                               // of the records
	datas   int                               // members "data" of the record
	field   func(key []byte, depth int) error // reads a member of a record; one for all, so that a record costs nothing
	scratch []byte
}

// parseDelivery makes records of a body. The error is an *httpError.
func parseDelivery(b []byte, put *record.Put) (id string, err error) {
	f := &deliveryForm{b: b, put: put}
	f.field = f.recordMember
	put.Grow(base64x.Max(len(b)))
	err = f.object(0, f.member)
	if err == nil {
		err = strictjson.End(b, f.i)
	}
	var known *httpError
	switch {
	case errors.As(err, &known):
		return "", known
	case err != nil:
		return "", problem(http.StatusBadRequest, "bad_json", fmt.Sprintf("The body is not JSON as the protocol has it: %v.", err))
	case !f.list:
		return "", problem(http.StatusBadRequest, "no_records", `The body has no "records".`)
	}
	return f.id, nil
}

// object steps over the object that stands here, in depth containers, and has each member's value read.
func (f *deliveryForm) object(depth int, member func(key []byte, depth int) error) (err error) {
	if f.i, err = strictjson.Byte(f.b, f.i, '{'); err != nil {
		return err
	}
	if f.take('}') {
		return nil
	}
	for {
		key, err := f.text()
		if err != nil {
			return err
		}
		if f.i, err = strictjson.Byte(f.b, f.i, ':'); err != nil {
			return err
		}
		f.i = strictjson.Space(f.b, f.i)
		if err := member(key, depth+1); err != nil {
			return err
		}
		if f.take('}') {
			return nil
		}
		if f.i, err = strictjson.Byte(f.b, f.i, ','); err != nil {
			return err
		}
	}
}

// take steps over c when that is next.
func (f *deliveryForm) take(c byte) bool {
	f.i = strictjson.Space(f.b, f.i)
	if f.i < len(f.b) && f.b[f.i] == c {
		f.i++
		return true
	}
	return false
}

// text steps over a string and returns its value, until the next call.
func (f *deliveryForm) text() ([]byte, error) {
	at := strictjson.Space(f.b, f.i)
	end, escaped, err := strictjson.String(f.b, at)
	if err != nil {
		return nil, err
	}
	f.i = end
	if escaped {
		f.scratch = strictjson.Unquote(f.scratch[:0], f.b[at+1:end-1])
		return f.scratch, nil
	}
	return f.b[at+1 : end-1], nil
}

func (f *deliveryForm) skip(depth int) (err error) {
	f.i, err = strictjson.Skip(f.b, f.i, depth)
	return err
}

// member reads one of the body's own.
func (f *deliveryForm) member(key []byte, depth int) error {
	switch string(key) {
	case "requestId":
		if f.i < len(f.b) && f.b[f.i] == 'n' {
			return f.skip(depth)
		}
		id, err := f.text()
		if f.id != "" && f.id != string(id) {
			return problem(http.StatusBadRequest, "request_id_mismatch", "The body has two values of requestId.")
		}
		f.id = string(id)
		return err
	case "records":
		if f.list {
			return problem(http.StatusBadRequest, "bad_json", `"records" stands in the body twice.`)
		}
		f.list = true
		return f.records(depth)
	}
	return f.skip(depth)
}

func (f *deliveryForm) records(depth int) (err error) {
	if f.i, err = strictjson.Byte(f.b, f.i, '['); err != nil {
		return err
	}
	if f.take(']') {
		return nil
	}
	for {
		if f.count++; f.count > maxDelivered {
			return problem(http.StatusRequestEntityTooLarge, "too_many_records", fmt.Sprintf("A request may hold at most %d records; nothing was accepted.", maxDelivered))
		}
		if err := f.record(depth + 1); err != nil {
			return err
		}
		if f.take(']') {
			return nil
		}
		if f.i, err = strictjson.Byte(f.b, f.i, ','); err != nil {
			return err
		}
	}
}

// record reads one; without data it is refused, as it would be lost.
func (f *deliveryForm) record(depth int) error {
	f.datas = 0
	err := f.object(depth, f.field)
	if err == nil && f.datas != 1 {
		err = problem(http.StatusBadRequest, "no_data", fmt.Sprintf(`Record %d has %d members "data", want one; nothing was accepted.`, f.count, f.datas))
	}
	return err
}

func (f *deliveryForm) recordMember(key []byte, depth int) error {
	if string(key) != "data" {
		return f.skip(depth)
	}
	f.datas++
	return f.data()
}

// data decodes the base64 string that stands here.
func (f *deliveryForm) data() error {
	var src []byte
	if f.i < len(f.b) && f.b[f.i] == '"' {
		if n := bytes.IndexByte(f.b[f.i+1:], '"'); n >= 0 && bytes.IndexByte(f.b[f.i+1:f.i+1+n], '\\') < 0 {
			src = f.b[f.i+1 : f.i+1+n]
			f.i += n + 2
		}
	}
	if src == nil { // escapes, such as \/, or no string
		var err error
		if src, err = f.text(); err != nil {
			return err
		}
	}
	n, ok := base64x.Decode(f.put.Reserve(base64x.Max(len(src))), src)
	switch {
	case !ok:
		return problem(http.StatusBadRequest, "bad_base64", fmt.Sprintf("The data of record %d is not base64; nothing was accepted.", f.count))
	case n > maxRecordBytes:
		return problem(http.StatusRequestEntityTooLarge, "record_too_large", fmt.Sprintf("Record %d is longer than %d bytes; nothing was accepted.", f.count, maxRecordBytes))
	case f.put.Bytes()+n > record.MaxPutBytes:
		return problem(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("The records of a request may have at most %d bytes; nothing was accepted.", record.MaxPutBytes))
	}
	f.put.Commit(n)
	return nil
}
