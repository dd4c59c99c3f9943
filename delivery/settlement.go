package delivery

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"hydrant/delivery/answers"
	"hydrant/delivery/journal"
	"hydrant/record"
)

// settlement is what is known of an entry's records: taken by the destination, or refused, with their finished error records.
// Safe for concurrent use.
type settlement struct {
	s *sending

	mu      sync.Mutex
	done    *journal.Set // taken
	refused map[string]*refusal
	records int // taken in this life
	bytes   int64
}

// refusal are the refused records of one error type.
type refusal struct {
	set           *journal.Set
	code, message string          // of the first
	file          *answers.Writer // nil once it could not be written: their error records then say what the first one suffers from
}

func (b *settlement) begin(s *sending) {
	b.s, b.done, b.refused = s, s.e.Sent.Clone(), map[string]*refusal{}
}

// has says whether a record is settled.
func (b *settlement) has(pos record.Position, sub uint16) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done.Has(pos, sub) {
		return true
	}
	for _, r := range b.refused {
		if r.set.Has(pos, sub) {
			return true
		}
	}
	return false
}

func (b *settlement) delivered(item *record.Item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done.Has(item.Pos, item.Sub) { // one that only took its place was counted before
		b.done.Add(item.Pos, item.Sub)
		b.records++
		b.bytes += int64(len(item.Data))
	}
}

// failed notes a refusal with its error record.
func (b *settlement) failed(x *record.Derived, f *record.Failure, attempts int, fields []record.Field) {
	line, err := refusedLine(x, f, attempts, fields)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.refused {
		if r.set.Has(x.Pos, x.Sub) {
			return // refused once more, beside others that were offered again
		}
	}
	r := b.refused[f.Type]
	if r == nil {
		r = &refusal{set: journal.NewSet(), code: f.Code, message: f.Message}
		r.file = b.s.r.opt.Answers.Create(fmt.Sprintf("%s-%d-%s-%s", b.s.e.Role, b.s.e.N, f.Type, b.s.r.salt))
		b.refused[f.Type] = r
	}
	r.set.Add(x.Pos, x.Sub)
	if err == nil && r.file != nil {
		err = r.file.Add(answers.Answer{Pos: x.Pos, Sub: x.Sub, Sum: digest(x.Raw), Line: line})
	}
	if err != nil {
		b.drop(r, err)
	}
}

// drop gives up the details of refusals, not the refusals: on a full disk, say, which must drain all the same.
func (b *settlement) drop(r *refusal, err error) {
	if r.file != nil {
		r.file.Abort()
		r.file = nil
		b.s.r.opt.Logger.Error("what the destination said of each record cannot be kept; their error records say what it said of the first", "batch", b.s.e.N, "err", err)
	}
}

// asides are the entries that write the error objects, their answers durable; none when nothing was refused.
func (b *settlement) asides() (out []*journal.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range slices.Sorted(maps.Keys(b.refused)) {
		r := b.refused[t]
		if r.file != nil {
			if err := r.file.Commit(); err != nil {
				b.drop(r, err)
			}
		}
		e := b.s.e
		e.N, e.SetAside, e.Code, e.Message = 0, t, r.code, r.message
		e.Attempts, e.Ordinal, e.Bisecting, e.Former = 0, 0, false, nil
		e.Sent, e.WaitedMillis, e.PackRecords, e.PackBytes = nil, 0, 0, 0
		e.Only, e.Except = r.set.Pack(), nil
		if r.file != nil {
			e.Answers = r.file.Name()
		}
		out = append(out, &e)
	}
	return out
}

// keep says that the files of answers are journaled.
func (b *settlement) keep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.refused)
}

// abort forgets the answers that were not journaled.
func (b *settlement) abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.refused {
		if r.file != nil {
			r.file.Abort()
		}
	}
}

// sent are the records that were taken.
func (b *settlement) sent() *journal.Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done.Empty() {
		return nil
	}
	return b.done.Clone().Pack()
}

func (b *settlement) takenSome() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.records > 0
}

// taken is how much the destination took in this life.
func (b *settlement) taken() (records int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.records, b.bytes
}

// refusedLine is the error record of one that was refused.
func refusedLine(x *record.Derived, f *record.Failure, attempts int, fields []record.Field) ([]byte, error) {
	return errorLine(ErrorRecord{
		AttemptsMade: max(attempts, f.Attempts), ArrivalTimestamp: x.ArrivalMillis, ErrorCode: f.Code, ErrorMessage: f.Message,
		AttemptEndingTimestamp: time.Now().UnixMilli(), RawData: base64.StdEncoding.EncodeToString(x.Raw), RecordID: recordID(x),
	}, slices.Concat(f.Fields, fields))
}

// errorLine is an error record with what is said of it beside the common fields.
func errorLine(r ErrorRecord, fields []record.Field) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	b = b[:len(b)-1] // the closing brace
	for _, field := range fields {
		name, err := json.Marshal(field.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(field.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(append(b, ','), name...), ':'), value...)
	}
	return append(b, '}', '\n'), nil
}

// recordID names the record as it was first accepted: EPOCH.POSITION.SUB.
func recordID(x *record.Derived) string {
	id, sub := itemOf(x).Name()
	return fmt.Sprintf("%s.%d.%d", id.Epoch, id.Pos, sub)
}
