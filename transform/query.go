package transform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// maxSteps bounds one run of a query, in instructions of jq's machine: about a second. A bound in steps and not
// in time gives a replay the same answer, however busy the machine is.
const maxSteps = 10_000_000

var (
	errSteps    = errors.New("it took too many steps")
	errOutputs  = errors.New("it gave more than one value")
	errPanicked = errors.New("jq failed within itself")
)

// query is a compiled jq expression. Not safe for concurrent use.
type query struct {
	source string
	whole  program
	// path is the names of the fields that the expression begins with, nil when it begins with something else.
	// rest is what it does with what it finds there, nil for nothing.
	path   []string
	rest   *program
	budget budget
}

// program is an expression and its code.
type program struct {
	ast  *gojq.Query
	code *gojq.Code
	// fresh: each run needs a code of its own, for gojq keeps every regular expression it met, and these come from records.
	fresh bool
}

// compile reads a jq expression. What does not depend on the record alone is refused.
func compile(source string) (*query, error) {
	q := &query{source: source, budget: newBudget()}
	ast, err := gojq.Parse(source)
	if err == nil {
		q.whole, err = newProgram(ast)
	}
	if err != nil {
		return nil, fmt.Errorf("jq expression %q: %w", clip(source, 60), err)
	}
	path, rest := split(ast)
	if rest == nil {
		q.path = path
	} else if p, err := newProgram(rest); err == nil {
		q.path, q.rest = path, &p
	}
	return q, nil
}

func newProgram(ast *gojq.Query) (program, error) {
	var calls []*gojq.Func
	collect(reflect.ValueOf(ast), &calls)
	if name := impure(calls); name != "" {
		return program{}, fmt.Errorf("%s does not depend on the record alone; a replay could put records elsewhere", name)
	}
	code, err := gojq.Compile(ast)
	return program{ast, code, slices.ContainsFunc(calls, matchesUnknown)}, err
}

// split takes the path of fields off the front of an expression: of `.a.b` it is all there is, of `.a.b|f` and `.a.b[0:4]`
// something remains to be done with the value there. The path is nil when there is none.
func split(q *gojq.Query) (path []string, rest *gojq.Query) {
	switch {
	case q.Meta != nil || q.Imports != nil || q.FuncDefs != nil || q.Patterns != nil:
		return nil, nil
	case q.Term != nil:
		return splitTerm(q.Term)
	case q.Op != gojq.OpPipe:
		return nil, nil
	}
	path, rest = split(q.Left)
	if path == nil || rest == nil {
		return path, q.Right
	}
	return path, &gojq.Query{Left: rest, Op: gojq.OpPipe, Right: q.Right}
}

func splitTerm(t *gojq.Term) (path []string, rest *gojq.Query) {
	if t.Type != gojq.TermTypeIndex {
		return nil, nil
	}
	name, ok := fieldName(t.Index)
	if !ok {
		return nil, nil
	}
	path = []string{name}
	for i, s := range t.SuffixList {
		if name, ok = fieldName(s.Index); ok {
			path = append(path, name)
			continue
		}
		if slices.ContainsFunc(t.SuffixList[i:], asksRecord) {
			return nil, nil
		}
		return path, &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity, SuffixList: t.SuffixList[i:]}}
	}
	return path, nil
}

// asksRecord says whether a suffix may need more than the value it stands behind: what stands in its
// brackets is about the whole record, and a question mark is about what stands in front.
func asksRecord(s *gojq.Suffix) bool {
	if s.Index == nil {
		return s.Optional
	}
	constant := func(q *gojq.Query) bool {
		return q == nil || q.Term != nil && q.Term.Type == gojq.TermTypeNumber && q.Term.SuffixList == nil && q.FuncDefs == nil
	}
	return s.Index.Str != nil && s.Index.Str.Queries != nil || !constant(s.Index.Start) || !constant(s.Index.End)
}

func fieldName(x *gojq.Index) (string, bool) {
	switch {
	case x == nil || x.IsSlice || x.End != nil:
		return "", false
	case x.Name != "":
		return strings.TrimPrefix(x.Name, "."), true
	case x.Str != nil:
		return x.Str.Str, x.Str.Queries == nil
	case x.Start != nil: // ["x"]
		t := x.Start.Term
		if t == nil || t.Type != gojq.TermTypeString || t.SuffixList != nil || t.Str.Queries != nil || x.Start.FuncDefs != nil {
			return "", false
		}
		return t.Str.Str, true
	}
	return "", false
}

// collect gives all calls in an expression. It walks the expression whatever it is made of.
func collect(v reflect.Value, calls *[]*gojq.Func) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if f, ok := v.Interface().(*gojq.Func); ok {
			*calls = append(*calls, f)
		}
		collect(v.Elem(), calls)
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), calls)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			collect(v.Field(i), calls)
		}
	}
}

// impure names a call whose result may differ between two runs over the same record, or that is no use here.
func impure(calls []*gojq.Func) string {
	for _, f := range calls {
		switch f.Name {
		case "now", "localtime", "strflocaltime", "env", "$ENV", "input", "inputs", "debug", "halt", "halt_error", "builtins", "modulemeta":
			return f.Name
		case "strptime":
			if strings.Contains(f.String(), "%Z") {
				return "strptime with %Z, which knows the machine's own time zone,"
			}
		}
	}
	return ""
}

// matchesUnknown says whether a call takes a regular expression that is not written out in the query.
func matchesUnknown(f *gojq.Func) bool {
	switch f.Name {
	case "test", "match", "capture", "scan", "splits", "sub", "gsub":
	case "split":
		if len(f.Args) < 2 {
			return false
		}
	default:
		return false
	}
	if len(f.Args) == 0 {
		return false
	}
	t := f.Args[0].Term
	return t == nil || t.Type != gojq.TermTypeString || t.Str.Queries != nil || t.SuffixList != nil
}

// budget ends a run after maxSteps: gojq asks its context before each instruction.
type budget struct {
	context.Context
	limit, left int
	spent       chan struct{} // closed
}

func newBudget() budget {
	b := budget{Context: context.Background(), limit: maxSteps, spent: make(chan struct{})}
	close(b.spent)
	return b
}

func (b *budget) Done() <-chan struct{} {
	if b.left--; b.left < 0 {
		return b.spent
	}
	return nil
}

func (b *budget) Err() error { return errSteps }

// run gives the value of the expression for a record; nil when there is none. v is not changed.
func (q *query) run(v any) (any, error) { return q.bounded(&q.whole, v) }

// runRest gives it for what the record has at the path.
func (q *query) runRest(v any) (any, error) { return q.bounded(q.rest, v) }

func (q *query) bounded(p *program, v any) (out any, err error) {
	defer func() {
		if recover() != nil { // a bug of jq's must cost one record only
			out, err = nil, errPanicked
		}
	}()
	code := p.code
	if p.fresh {
		if code, err = gojq.Compile(p.ast); err != nil {
			return nil, err
		}
	}
	q.budget.left = q.budget.limit
	it := code.RunWithContext(&q.budget, v)
	first, ok := it.Next()
	if !ok {
		return nil, nil
	}
	if err, failed := first.(error); failed {
		return nil, err
	}
	if second, more := it.Next(); more {
		if err, failed := second.(error); failed {
			return nil, err
		}
		return nil, errOutputs
	}
	return first, nil
}

// appendValue appends what a value reads like as the name of a partition: nothing for null and "".
func appendValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return dst, nil
	case string:
		return append(dst, v...), nil
	case float64:
		if math.IsNaN(v) {
			return dst, nil // jq's null
		}
	case bool, int, *big.Int, json.Number:
	default:
		return dst, fmt.Errorf("it is an %s, and must be a string, a number or a boolean", gojq.TypeOf(v))
	}
	b, err := gojq.Marshal(v)
	return append(dst, b...), err
}
