package opensearch

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"hydrant/record"
)

// judge turns what an answer says of each item into outcomes.
//
// Items that fail in an ingest pipeline do not come in the order of the request, though they keep to the places of failed ones. Which
// is which, only their ids say; those are asked for once there was reason to.
type judge struct {
	s        *Sink
	req      *record.Request
	sent     []int
	named    bool             // this request asked for ids
	which    bool             // its answer does not say which failures are which, and can if asked for ids
	verdicts []record.Verdict // of those that were not delivered
	failed   []int            // items where the answer has them, each a place of one that was not delivered
	busy     bool             // an item was refused because of load
	waits    string           // type of the cause why items wait for people, the first one

	nameless int            // verdicts without an id
	rejects  bool           // there is one that is final
	places   map[string]int // of documents' ids, once one was not where it was expected

	last     []byte // cause of the last verdict, and its status: often many fail alike
	lastCode int
}

// item is called for each item of the answer, in order; there may be more than were sent.
func (j *judge) item(i int, item answerItem) {
	if i >= len(j.sent) || item.status/100 == 2 {
		return
	}
	if n := len(j.verdicts); n > 0 && j.lastCode == item.status && bytes.Equal(j.last, item.cause) {
		j.add(i, item, j.verdicts[n-1].Outcome)
		return
	}
	c := readCause(item.cause)
	if item.status == http.StatusConflict && j.s.names.ids && isThere(c) {
		return
	}
	j.last, j.lastCode = item.cause, item.status
	j.add(i, item, itemOutcome(item.status, c))
	held := heldByPeople(item.status, c)
	j.busy = j.busy || item.status == http.StatusTooManyRequests && !held
	if held && j.waits == "" {
		j.waits = cmp.Or(c.Type, "status "+strconv.Itoa(item.status))
	}
}

func (j *judge) add(i int, item answerItem, out record.Outcome) {
	at := j.sent[i]
	if item.id == nil {
		j.nameless++
	} else if j.s.names.ids {
		at = j.place(at, item.id)
	}
	j.rejects = j.rejects || out.Kind == record.Rejected
	j.failed = append(j.failed, j.sent[i])
	j.verdicts = append(j.verdicts, record.Verdict{Item: at, Outcome: out})
}

// place is which item of the request has the id: the expected one, nearly always.
func (j *judge) place(expected int, id []byte) int {
	if bytes.Equal(appendID(nil, &j.req.Items[expected]), id) {
		return expected
	}
	if j.places == nil {
		j.places = make(map[string]int, len(j.sent))
		for _, at := range j.sent {
			j.places[string(appendID(nil, &j.req.Items[at]))] = at
		}
	}
	if at, ok := j.places[string(id)]; ok {
		return at
	}
	return expected // a name that we did not give
}

var (
	errWhich = errors.New("opensearch: several documents failed, and the answer does not say which for what reason; it is asked again, with their ids")
	errWhose = errors.New("opensearch: the ids that the answer gives to documents that failed are not those of the documents in these places")
)

// end puts the verdicts in order. Several without a name are no verdicts, but a reason to ask for names: the repeat, which follows at once, finds what was taken.
// Nor are names that do not fit the places of failures: one of these would be left without a verdict, and would pass for delivered.
func (j *judge) end() {
	slices.SortFunc(j.verdicts, func(a, b record.Verdict) int { return cmp.Compare(a.Item, b.Item) })
	switch {
	case j.nameless > 1 && j.rejects && j.s.names.ids && !j.named:
		j.s.named.Store(true)
		j.which = true
		j.again(errWhich)
	case !slices.EqualFunc(j.verdicts, j.failed, func(v record.Verdict, at int) bool { return v.Item == at }):
		j.again(errWhose)
	}
	j.tell()
}

// again has all that failed tried once more, and nothing given up.
func (j *judge) again(err error) {
	for i, at := range j.failed {
		j.verdicts[i] = record.Verdict{Item: at, Outcome: failed(codeNameless, err, false)}
	}
}

// tell warns about what only people can mend. The cause's reason stays out of the log: it may quote a document.
func (j *judge) tell() {
	if j.waits != "" {
		j.s.log.warn("the cluster takes no documents for this index until somebody changes that; they are tried again",
			"stream", j.req.Stream, "index", j.s.o.Index, "type", clip(j.waits, 100))
	}
}
