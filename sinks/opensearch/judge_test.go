package opensearch

import (
	"context"
	"strings"
	"testing"

	"hydrant/internal/osfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

// TestFailuresOutOfOrder: what an ingest pipeline refuses comes in any order. No reason may land on another record, and nothing that may be
// taken later may be given up for another's sake.
func TestFailuresOutOfOrder(t *testing.T) {
	fake := osfake.New()
	fake.Shuffle = true
	fake.Judge = func(d osfake.Document) *osfake.Refusal {
		switch text := string(d.Source); {
		case strings.Contains(text, "bad"):
			return &osfake.Refusal{Status: 400, Type: "mapper_parsing_exception", Reason: text}
		case strings.Contains(text, "later"):
			return &osfake.Refusal{Status: 500, Type: "fail_processor_exception", Reason: text}
		}
		return nil
	}
	url, stop := fake.Start()
	defer stop()
	s, err := New(Options{URLs: []string{url}, Index: "i"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := []string{`{"n":"fine"}`, `{"n":"bad 1"}`, `{"n":"later"}`, `{"n":"bad 2"}`, `{"n":"fine, too"}`}
	for range 2 { // the first of them is asked for ids by a request of its own
		reply := s.Send(context.Background(), sinktest.NewRequest(1, data...))
		if len(reply.Verdicts) != 3 {
			t.Fatalf("%+v", reply)
		}
		for i, v := range reply.Verdicts {
			want := []record.OutcomeKind{record.Rejected, record.Retry, record.Rejected}[i]
			if v.Item != i+1 || v.Kind != want || !strings.Contains(v.Err.Error(), data[i+1]) {
				t.Errorf("item %d: %+v", i+1, v)
			}
		}
	}
	if docs, asked := len(fake.Documents()), len(fake.Requests()); docs != 2 || asked != 3 {
		t.Errorf("%d documents of %d requests", docs, asked)
	}
}

// TestNamesAreNotAnswered: when the request that asks for ids gets no answer, nothing of the first answer is final.
func TestNamesAreNotAnswered(t *testing.T) {
	fake := osfake.New()
	fake.Judge = func(osfake.Document) *osfake.Refusal {
		fake.Fail(osfake.Fault{Kind: osfake.Cut})
		return &osfake.Refusal{Status: 400, Type: "mapper_parsing_exception", Reason: "no"}
	}
	url, stop := fake.Start()
	defer stop()
	s, err := New(Options{URLs: []string{url}, Index: "i"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	reply := s.Send(context.Background(), sinktest.NewRequest(1, `{"a":1}`, `{"a":2}`))
	if reply.Kind != record.Delivered || len(reply.Verdicts) != 2 {
		t.Fatalf("%+v", reply)
	}
	for _, v := range reply.Verdicts {
		if v.Kind != record.Retry || v.Code != codeNameless {
			t.Errorf("without ids nothing is final: %+v", v)
		}
	}
}

// TestOneFailureIsInItsPlace: there is nothing to confuse it with.
func TestOneFailureIsInItsPlace(t *testing.T) {
	fake := osfake.New()
	fake.Judge = func(d osfake.Document) *osfake.Refusal {
		if strings.Contains(string(d.Source), "bad") {
			return &osfake.Refusal{Status: 400, Type: "mapper_parsing_exception", Reason: "no"}
		}
		return nil
	}
	url, stop := fake.Start()
	defer stop()
	s, err := New(Options{URLs: []string{url}, Index: "i"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	reply := s.Send(context.Background(), sinktest.NewRequest(1, `{"n":1}`, `{"n":"bad"}`, `{"n":3}`))
	if len(reply.Verdicts) != 1 || reply.Verdicts[0].Item != 1 || reply.Verdicts[0].Kind != record.Rejected || s.named.Load() {
		t.Errorf("%+v", reply)
	}
}

// judged lets a judge of three items hear of two failures, at the places 0 and 2, under these ids ("" for none).
func judged(t *testing.T, s *Sink, named bool, first, second string) []record.Verdict {
	t.Helper()
	j := judge{s: s, req: sinktest.NewRequest(1, `{}`, `{}`, `{}`), sent: []int{0, 1, 2}, named: named}
	name := func(id string) []byte {
		if id == "" {
			return nil
		}
		return []byte(id)
	}
	j.item(0, answerItem{status: 400, id: name(first), cause: []byte(`{"type":"a"}`)})
	j.item(1, answerItem{status: 201})
	j.item(2, answerItem{status: 500, id: name(second), cause: []byte(`{"type":"b"}`)})
	j.end()
	return j.verdicts
}

func itemID(i int) string {
	return string(appendID(nil, &sinktest.NewRequest(1, `{}`, `{}`, `{}`).Items[i]))
}

// TestEveryFailureHasAVerdict: a pipeline may give documents other ids, and then two failures may seem to be one item's. The other item
// was not taken either.
func TestEveryFailureHasAVerdict(t *testing.T) {
	s := open(t, Options{URLs: []string{"http://localhost:9200"}, Index: "i"}, func() {})
	for name, ids := range map[string][2]string{
		"the last twice": {itemID(2), "other"}, "the first twice": {"other", itemID(0)}, "of one that was taken": {itemID(1), itemID(2)},
		"the same": {itemID(0), itemID(0)}, "both strange": {"other", "other"},
	} {
		of := map[int]record.Outcome{}
		for i, v := range judged(t, s, true, ids[0], ids[1]) {
			of[v.Item] = v.Outcome
			if i == 0 && v.Item != 0 {
				t.Errorf("%s: the first verdict is about item %d", name, v.Item)
			}
		}
		for _, i := range []int{0, 2} {
			if of[i].Kind != record.Retry && of[i].Kind != record.Rejected || of[i].Err == nil || of[i].Code == "" {
				t.Errorf("%s: item %d failed, its verdict is %+v", name, i, of[i])
			}
		}
	}
}

// TestAnotherRequestAskedForIDs: that ids are asked for from now on does not tell apart the failures of an answer without them.
func TestAnotherRequestAskedForIDs(t *testing.T) {
	s := open(t, Options{URLs: []string{"http://localhost:9200"}, Index: "i"}, func() {})
	s.named.Store(true)
	for _, v := range judged(t, s, false, "", "") {
		if v.Kind != record.Retry || v.Code != codeNameless {
			t.Errorf("without ids nothing is final: %+v", v)
		}
	}
	if got := judged(t, s, true, "", ""); len(got) != 2 || got[0].Kind != record.Rejected || got[1].Kind != record.Retry {
		t.Errorf("a server that names no documents is asked no third time: %+v", got)
	}
}
