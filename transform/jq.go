package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/itchyny/gojq"

	"hydrant/config"
	"hydrant/record"
)

const (
	codeJQ     = "JQ.EvaluationFailed"
	codeFilter = "Filter.EvaluationFailed"
	codeFields = "Fields.InvalidRecord"
)

// maxJQBytes bounds what an expression makes of one record.
const maxJQBytes = 8 << 20

// jq makes of a record what an expression gives for it: a record for each value. Numbers that it does not compute with stay as they are
// written; the order of keys does not stay.
type jq struct {
	scan  scanner
	query *query
}

func newJQ(source string) (processor, error) {
	if paths := onlyDeletes(source); paths != nil {
		return newDrop(&config.Drop{Fields: paths})
	}
	q, err := compile(source)
	if err != nil {
		return nil, err
	}
	return &jq{query: q}, nil
}

func (s *jq) process(p part, out *output) {
	v, why := decodeRecord(&s.scan, p.data)
	if why != "" {
		out.fail(p, failed(record.ProcessingFailed, codeJQ, "jq: %s", why))
		return
	}
	n, line := len(out.list), bytes.HasSuffix(p.data, []byte("\n"))
	size := 0
	err := s.query.each(v, func(v any) error {
		b, err := gojq.Marshal(v)
		if err != nil {
			return err
		}
		if size += len(b); size > maxJQBytes {
			return fmt.Errorf("it gave more than %d bytes", maxJQBytes)
		}
		from := len(out.room.buf)
		out.room.buf = append(out.room.buf, b...)
		if line {
			out.room.buf = append(out.room.buf, '\n')
		}
		made := p
		made.data = out.room.since(from)
		if !out.add(made) {
			return errTooMany
		}
		return nil
	})
	if err != nil && !errors.Is(err, errTooMany) {
		out.cut(n)
		out.fail(p, failed(record.ProcessingFailed, codeJQ, "jq %s: %v", clip(s.query.source, 60), err))
	}
}

var errTooMany = errors.New("it gave too many values")

// decodeRecord makes what jq works on of a record that is one JSON value.
func decodeRecord(s *scanner, data []byte) (v any, why string) {
	s.b = data
	defer func() { s.b = nil }()
	from := s.space(0)
	end := s.value(from, 0, nil)
	switch {
	case end < 0 && from == len(data):
		return nil, "the record is empty"
	case end < 0:
		return nil, s.problem()
	case s.space(end) != len(data):
		return nil, "the record holds more than one JSON value; the deaggregate processor makes records of the parts"
	}
	v, _ = s.decode(from)
	return v, ""
}

// each calls visit with every value that the expression gives for v.
func (q *query) each(v any, visit func(any) error) (err error) {
	defer func() {
		if recover() != nil { // a bug of jq's must cost one record only
			err = errPanicked
		}
	}()
	code := q.whole.code
	if q.whole.fresh {
		if code, err = gojq.Compile(q.whole.ast); err != nil {
			return err
		}
	}
	q.budget.left = q.budget.limit
	for it := code.RunWithContext(&q.budget, v); ; {
		x, ok := it.Next()
		if !ok {
			return nil
		}
		if err, isErr := x.(error); isErr {
			return err
		}
		if err := visit(x); err != nil {
			return err
		}
	}
}

// onlyDeletes gives the paths of an expression that is nothing but del(.a.b, .c): those go without taking the record apart. nil for another.
func onlyDeletes(source string) (paths []string) {
	q, err := gojq.Parse(source)
	if err != nil || q.Term == nil || q.Term.Type != gojq.TermTypeFunc || q.Term.SuffixList != nil || q.FuncDefs != nil || q.Meta != nil || q.Imports != nil {
		return nil
	}
	f := q.Term.Func
	if f.Name != "del" || len(f.Args) != 1 {
		return nil
	}
	var visit func(q *gojq.Query) bool
	visit = func(q *gojq.Query) bool {
		if q.Op == gojq.OpComma {
			return visit(q.Left) && visit(q.Right)
		}
		path, rest := split(q)
		if path == nil || rest != nil {
			return false
		}
		b, err := json.Marshal(path)
		paths = append(paths, string(b))
		return err == nil
	}
	if !visit(f.Args[0]) {
		return nil
	}
	return paths
}
