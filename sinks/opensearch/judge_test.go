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
	reply := s.Send(context.Background(), sinktest.NewRequest(1, data...))
	if len(reply.Verdicts) != 3 {
		t.Fatalf("%+v", reply)
	}
	for _, v := range reply.Verdicts {
		if v.Kind != record.Retry || v.Code != codeNameless {
			t.Errorf("without ids nothing is final: %+v", v)
		}
	}
	for range 2 {
		reply = s.Send(context.Background(), sinktest.NewRequest(1, data...))
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
	if n := len(fake.Documents()); n != 2 {
		t.Errorf("%d documents", n)
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
