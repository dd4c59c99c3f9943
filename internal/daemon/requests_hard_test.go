package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/record"
)

// TestLimitRisesBetweenHalves: what was too large once is never offered whole again, though the destination would take it by now: one half of
// it was taken already.
func TestLimitRisesBetweenHalves(t *testing.T) {
	for _, end := range []string{"none", "kill"} {
		t.Run(end, func(t *testing.T) {
			inWorld(t, func(w *world) {
				stream := posted("req-post")
				stream.Buffer.Size = 100_000
				w.open(stream)
				w.dest.most = 1
				var sent, whole atomic.Int32
				w.dest.before = func(req *record.Request) *record.Reply { // the second half meets an error
					if len(req.Items) > 1 {
						whole.Add(1)
					} else if sent.Add(1) == 2 {
						reply := retry("Test.Unavailable", errDestination)
						return &reply
					}
					return nil
				}
				w.mustPut("req-post", 6)
				w.sleep(10 * time.Second) // the batch closes
				for sent.Load() < 2 {
					w.sleep(time.Millisecond)
				}
				if whole.Load() == 0 {
					t.Fatal("no request was halved")
				}
				w.dest.mu.Lock()
				w.dest.most, w.dest.before = 0, nil
				w.dest.mu.Unlock()
				if end == "kill" {
					w.cut(true, 0)
					w.open()
				}
				w.sleep(5 * time.Minute)
				w.check()
				if n := len(w.dest.taken("req-post")); n != 6 {
					t.Errorf("%d records were taken, want each of 6 once", n)
				}
			})
		})
	}
}

// TestRefusedHalfIsNotDelivered: records that were refused one by one are not taken within a request that holds others, too.
func TestRefusedHalfIsNotDelivered(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(posted("req-post"))
		var failed atomic.Bool
		w.dest.refuses = func(data string) bool { return strings.Contains(data, `"n":1,`) }
		w.dest.before = func(req *record.Request) *record.Reply {
			if string(req.Items[0].Data) != "" && strings.Contains(string(req.Items[0].Data), `"n":2,`) && failed.CompareAndSwap(false, true) {
				reply := retry("Test.Unavailable", errDestination)
				return &reply
			}
			return nil
		}
		w.mustPut("req-post", 2)
		for !failed.Load() {
			w.sleep(time.Millisecond)
		}
		w.dest.mu.Lock()
		w.dest.refuses = nil
		w.dest.mu.Unlock()
		w.sleep(5 * time.Minute)
		w.check()
	})
}

// scripted is a destination that answers as a test says.
type scripted struct {
	limits record.RequestLimits
	send   func(req *record.Request) record.Reply
	mu     sync.Mutex
	times  map[string]int // how often a record was taken
}

func (s *scripted) Limits() record.RequestLimits { return s.limits }

func (s *scripted) Describe(*record.Item) []record.Field { return nil }

func (s *scripted) Send(_ context.Context, req *record.Request) record.Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply := s.send(req)
	verdict := map[int]record.OutcomeKind{}
	for _, v := range reply.Verdicts {
		verdict[v.Item] = v.Kind
	}
	for i := range req.Items {
		kind, ok := verdict[i]
		if !ok {
			kind = reply.Kind
		}
		if kind == record.Delivered {
			s.times[strings.TrimSpace(string(req.Items[i].Data))]++
		}
	}
	return reply
}

// wantOnce: each of the records that were put was taken or set aside, once.
func (w *world) wantOnce(s *scripted, bucket string) {
	w.t.Helper()
	text := w.store.text(bucket)
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range w.told {
		if n := s.times[r] + strings.Count(text, r); n != 1 {
			w.t.Errorf("%d times, want once: %s", n, r)
		}
	}
}

// TestOddReplies: whatever form a reply has, no record of a batch is lost by it.
func TestOddReplies(t *testing.T) {
	rejected := record.Outcome{Kind: record.Rejected, Code: "400", Err: errDestination}
	busy := record.Outcome{Kind: record.Retry, Code: "503", Err: errDestination}
	for name, reply := range map[string]func(n int) record.Reply{
		"no, but each item has a verdict": func(n int) record.Reply {
			r := record.Reply{Outcome: busy}
			for i := range n {
				r.Verdicts = append(r.Verdicts, record.Verdict{Item: i, Outcome: record.Outcome{Kind: record.Delivered}})
			}
			return r
		},
		"an item twice": func(n int) record.Reply {
			r := record.Reply{Outcome: record.Outcome{Kind: record.Delivered}}
			for _, i := range []int{0, 0, min(1, n-1)} {
				r.Verdicts = append(r.Verdicts, record.Verdict{Item: i, Outcome: rejected})
			}
			return r
		},
		"not in order": func(n int) record.Reply {
			r := record.Reply{Outcome: record.Outcome{Kind: record.Delivered}}
			for i := n - 1; i >= 0; i-- {
				r.Verdicts = append(r.Verdicts, record.Verdict{Item: i, Outcome: rejected})
			}
			return r
		},
		"nothing": func(int) record.Reply { return record.Reply{} },
		"one is too large": func(n int) record.Reply {
			if n == 1 {
				return record.Reply{Outcome: record.Outcome{Kind: record.Rejected, TooLarge: true, Code: "413", Err: errDestination}}
			}
			return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}, Verdicts: []record.Verdict{{Item: 0, Outcome: rejected}}}
		},
	} {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/whole=%v", name, whole), func(t *testing.T) {
				inWorld(t, func(w *world) {
					n := 0
					d := &scripted{limits: record.RequestLimits{Records: 3, Bytes: 10_000, Concurrent: 1}, times: map[string]int{}}
					d.send = func(req *record.Request) record.Reply {
						if n++; n == 1 {
							return reply(len(req.Items))
						}
						return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}}
					}
					w.requester = func(string, config.Destination) delivery.Requester { return d }
					s := searched("req")
					if whole {
						s = posted("req")
					}
					s.Buffer.Size = 100_000
					w.open(s)
					w.mustPut("req", 10)
					w.sleep(10 * time.Minute)
					w.wantOnce(d, "failed-req")
				})
			})
		}
	}
}

// TestManifestOutlivesTheWarehouse: a manifest that cannot be written waits, also when the stream has another destination by then.
func TestManifestOutlivesTheWarehouse(t *testing.T) {
	for _, next := range []config.Stream{small("load"), searched("load"), loading("load")} {
		t.Run(next.Destination.Kind(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := loading("load")
				s.Retry.For = 30e9
				w.open(s)
				w.dest.set(weather{fail: 1})
				var healed atomic.Bool
				w.store.stuck = func(o *record.Object) bool { return !healed.Load() && strings.Contains(o.Key, "/manifests/") }
				w.mustPut("load", 3)
				w.sleep(3 * time.Minute)
				w.cut(true, 0)
				if next.Destination.S3 != nil {
					next.Destination.S3.Bucket = "b-other"
				}
				if next.Destination.Redshift != nil {
					next.Destination.Redshift.Table = "other"
				}
				w.open(next)
				w.sleep(5 * time.Minute)
				healed.Store(true)
				w.sleep(5 * time.Minute)
				if n := len(w.store.list("b-load")); n != 2 {
					t.Errorf("objects: %q and %q, want the batch and its manifest", w.store.list("b-load"), w.store.list("b-other"))
				}
				w.check()
			})
		})
	}
}

// TestLoadedThenMoved: a batch that was taken in, though nobody knows, is not taken in again under the name of a newer version when its object
// and its bucket are gone.
func TestLoadedThenMoved(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(loading("load"))
		w.dest.set(weather{storedError: 1})
		w.mustPut("load", 3)
		w.sleep(time.Minute)
		if n := w.dest.inLedger(); n != 1 {
			t.Fatalf("%d were loaded", n)
		}
		w.cut(true, 0)
		w.dest.set(weather{})
		clear(w.store.objects)
		w.store.stuck = func(o *record.Object) bool { return o.Bucket == "b-load" }
		s := loading("load")
		s.Destination.Redshift.S3.Bucket = "b-load-new"
		w.open(s)
		w.sleep(10 * time.Minute)
		if n := w.dest.inLedger(); n != 1 {
			t.Errorf("the batch was loaded %d times", n)
		}
		if n := w.d.stream("load").status().Readers[0].BacklogRecords; n != 0 {
			t.Errorf("%d records wait for ever", n)
		}
	})
}

// TestBackupAwayHoldsNobodyUp: the destination gets its records while the store for those that it refuses takes nothing, however many batches
// have such; once it does, each of them is there.
func TestBackupAwayHoldsNobodyUp(t *testing.T) {
	for _, end := range []string{"none", "kill"} {
		t.Run(end, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(searched("req"))
				w.dest.refuses = func(data string) bool { return strings.Contains(data, `0,"pad"`) }
				var healed atomic.Bool
				w.store.stuck = func(*record.Object) bool { return !healed.Load() }
				for range 10 {
					w.mustPut("req", 10)
					w.sleep(15 * time.Second)
				}
				if end == "kill" {
					w.cut(true, 0)
					w.open()
					w.mustPut("req", 10)
				}
				w.sleep(time.Minute)
				if n, want := len(w.dest.taken("req")), w.next/10*9; n != want {
					t.Errorf("%d records were taken while the backup was away, want %d", n, want)
				}
				healed.Store(true)
				w.sleep(5 * time.Minute)
				w.check()
			})
		})
	}
}
