package daemon

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// learning is a stream of Parquet files whose schema is learned.
func learning(name string) config.Stream {
	s := small(name)
	s.Format = config.FormatParquet
	s.Destination.S3.ErrorPrefix = "errors/!{firehose:error-output-type}/"
	s.Normalize()
	return s
}

// parquetParts is learning with partitions.
func parquetParts(name string) config.Stream {
	s := partitioned(name, 4)
	s.Format = config.FormatParquet
	s.Normalize()
	return s
}

// TestPartitionQueryChangesThenRestart: what was delivered beyond the cursor is known by position, not by partition. Records that the
// old query put elsewhere are neither delivered again nor forgotten.
func TestPartitionQueryChangesThenRestart(t *testing.T) {
	for _, kill := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 5)
			w.store.stuck = func(o *record.Object) bool { return strings.HasPrefix(o.Key, "k=0/") } // pins the cursor
			w.open(partitioned("parts", 3))
			w.mustPut("parts", 40)
			w.sleep(30 * time.Second) // the others are delivered
			before := len(w.store.list("b-parts"))
			if before == 0 {
				t.Fatal("a stuck partition held up the others")
			}
			w.mustPut("parts", 10) // not closed yet
			w.sleep(time.Second)
			if kill {
				w.cut(false, 0)
			} else {
				w.stop(time.Second)
			}
			w.store.stuck = nil
			s := partitioned("parts", 3)
			s.Processors[1].Partition[0].Query = `.pad | length % 2`
			w.open(s)
			w.mustPut("parts", 10)
			w.sleep(time.Minute)
			w.stop(time.Minute)
			w.check()
			if all := len(w.store.list("b-parts")); all <= before {
				t.Errorf("%d objects before, %d after", before, all)
			}
		})
	}
}

// TestStuckPartition pins the log, refuses puts when the backlog is full, names itself, and holds up no other partition.
func TestStuckPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6)
		stuck := true
		w.store.stuck = func(o *record.Object) bool { return stuck && strings.HasPrefix(o.Key, "k=1/") }
		s := partitioned("parts", 3)
		s.Buffer.MaxBacklog = 300 * config.KB
		w.open(s)
		var refused error
		for range 4000 {
			if refused = w.put("parts", 5); refused != nil {
				break
			}
			w.sleep(100 * time.Millisecond)
		}
		var full *record.Unavailable
		if !errors.As(refused, &full) {
			t.Fatalf("a full backlog answers %v", refused)
		}
		for _, want := range []string{"k=0/", "k=2/"} {
			n := 0
			for _, name := range w.store.list("b-parts") {
				if strings.HasPrefix(name, "b-parts/"+want) {
					n++
				}
			}
			if n < 20 {
				t.Errorf("partition %s has %d objects while another one is stuck", want, n)
			}
		}
		st := w.d.stream("parts").status()
		if r := st.Readers[0].Delivery; r.Partition != "1" || !r.Retrying || !strings.Contains(st.Words(time.Now()), "partition 1") {
			t.Errorf("which partition is stuck is not said: %+v, %q", r, st.Words(time.Now()))
		}
		w.store.mu.Lock()
		stuck = false
		w.store.mu.Unlock()
		w.sleep(time.Minute)
		w.mustPut("parts", 1)
		w.stop(time.Minute)
		w.check()
	})
}

// TestTenThousandPartitions: puts that are spread over all of them are read once for all, not once for each, and what is held in memory
// does not grow with them; a crash in the middle changes nothing.
func TestTenThousandPartitions(t *testing.T) {
	parts, puts := 10_000, 6
	if testing.Short() {
		parts, puts = 1000, 3
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 7)
		s := partitioned("parts", parts)
		s.Buffer.Size, s.Buffer.Interval = config.MB, config.Duration(60*time.Second)
		w.open(s)
		var read atomic.Int64
		w.mem.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.Contains(op.Name, "/log/") {
				read.Add(int64(op.N))
			}
			return nil
		})
		written := 0
		for i := range puts {
			p := record.NewPut()
			for k := range parts {
				r := line("parts", i*parts+k+1, strings.Repeat("x", 300))
				w.told[r], w.where[r] = true, "parts"
				p.Add([]byte(r))
				written += len(r)
			}
			if _, err := w.d.Append(t.Context(), "parts", p); err != nil {
				t.Fatal(err)
			}
			w.sleep(5 * time.Second)
		}
		if r := read.Load(); r > int64(3*written) {
			t.Errorf("%d bytes of the log were read for %d that were written", r, written)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if n := w.d.stream("parts").status().Readers[0].Delivery.Partitions; n < parts/2 {
			t.Errorf("%d partitions are open", n)
		}
		if held := w.d.lanes.MemoryBytes(); held > 32<<20 {
			t.Errorf("the lanes hold %d bytes", held)
		}
		w.cut(true, 0)
		w.open(s)
		w.sleep(10 * time.Minute)
		w.stop(10 * time.Minute)
		w.check()
	})
}

// TestFailuresAreSplitOff: what cannot be converted goes aside with its reason, its neighbours are written, once, whenever the machine
// goes down.
func TestFailuresAreSplitOff(t *testing.T) {
	for n := 1; ; n += 3 {
		ended := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, int64(n))
			w.store.set(weather{storedError: 0.5})
			w.cfg.Streams = []config.Stream{learning("pq-bad"), parquetParts("pq-parts")}
			w.mem.CrashAt(n)
			if w.tryOpen() == nil {
				for range 3 {
					_ = w.put("pq-bad", 8)
					_ = w.put("pq-parts", 8)
					w.sleep(12 * time.Second)
				}
			}
			ended = !w.mem.Crashed()
			w.cut(n%2 == 0, 0)
			w.open()
			w.mustPut("pq-bad", 8)
			w.sleep(time.Minute)
			w.stop(time.Minute)
			w.check()
			if t.Failed() {
				fmt.Println("crash at write", n)
			}
		})
		if ended || t.Failed() {
			break
		}
	}
}

// killerStage ends the process at one record, as a processor that takes all memory would.
type killerStage struct {
	delivery.Stage
	w *world
}

func (k killerStage) Derive(rec record.Record, emit func(*record.Derived) error) error {
	if strings.Contains(string(rec.Data), `"n":17,`) {
		k.w.mem.Crash()
		return errors.New("dead")
	}
	return k.Stage.Derive(rec, emit)
}

// TestRecordThatKillsWhileItIsDerived: before a record has an entry in the journal, what processes died of is found out, too.
func TestRecordThatKillsWhileItIsDerived(t *testing.T) {
	for _, name := range []string{"parts", "plain"} {
		inWorld(t, func(w *world) {
			w.stage = func(s delivery.Stage) delivery.Stage { return killerStage{s, w} }
			bad := partitioned(name, 3)
			if name == "plain" {
				bad = small(name)
				bad.Processors = []config.Processor{{Deaggregate: &config.Deaggregate{Type: "json"}}}
			}
			bad.Buffer.Size = 1 << 20
			w.open(bad, small("good"))
			w.mustPut("good", 5)
			_ = w.put(name, 30) // the process may be gone before it answers
			deaths := 0
			for ; ; deaths++ {
				w.sleep(2 * time.Minute)
				if !w.mem.Crashed() {
					break
				}
				if deaths > 60 {
					t.Fatal("it never ends")
				}
				w.cut(true, 0)
				w.open()
			}
			w.mustPut(name, 2)
			w.sleep(time.Minute)
			w.stop(time.Minute)
			w.check()
			aside := 0
			for _, o := range w.store.list("b-" + name) {
				if strings.Contains(o, "process-killed") {
					aside += w.store.get(o).identity.Count
				}
			}
			if aside != 1 {
				t.Errorf("%s: %d records were set aside after %d deaths, want the culprit alone", name, aside, deaths)
			}
			t.Logf("%s: %d deaths", name, deaths)
		})
	}
}

// TestPartitionsOnAFullDisk: when lanes may not be written, partitions close early, and everything is delivered.
func TestPartitionsOnAFullDisk(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cfg.MinFree = 100 * config.MB
		s := partitioned("parts", 500)
		s.Buffer.Size, s.Buffer.Interval = 128*config.MB, config.Duration(900*time.Second)
		w.open(s)
		for i := range 16 {
			if i == 4 {
				free, err := w.mem.FreeBytes(dataDir)
				if err != nil {
					t.Fatal(err)
				}
				total, err := w.mem.TotalBytes(dataDir)
				if err != nil {
					t.Fatal(err)
				}
				w.mem.SetCapacity(total - free + 40<<20) // the log may still be read, puts are refused
			}
			p := record.NewPut()
			var rs []string
			for k := range 2000 {
				r := line("parts", i*2000+k+1, strings.Repeat("x", 1000))
				rs = append(rs, r)
				p.Add([]byte(r))
			}
			if err := w.send("parts", p, rs); err != nil {
				var full *record.Unavailable
				if !errors.As(err, &full) {
					t.Fatal(err)
				}
				break
			}
			if i < 4 {
				continue
			}
		}
		w.sleep(30 * time.Minute)
		w.stop(time.Minute)
		w.mem.SetCapacity(0)
		w.check()
	})
}

// TestQueriesThatLoadAlsoRun: what the configuration accepts, the processors can be built from.
func TestQueriesThatLoadAlsoRun(t *testing.T) {
	for _, q := range []string{".a", ".a.b", `.["x y"]`, ".a[0]", ".a // .b", `.t|strptime("%Y-%m-%d %Z")|mktime`, `.t|strptime("%Y")|mktime`, "builtins|length",
		"now", "env.HOME", "$ENV.X", "input", "localtime", "debug", "halt", `.a|test("x")`, `.a|ascii_downcase`, "if .a then 1 else 2 end", `"\(.a)-\(.b)"`,
		"def f: .a; f", ".a as $x|$x", "reduce .a[] as $x (0;.+$x)", "$__prog_args", "input_filename", "modulemeta", "get_search_list", "stderr", "strflocaltime(\"%Y\")"} {
		s := partitioned("parts", 3)
		s.Processors[1].Partition[0].Query, s.Buffer, s.Backup.Buffer = q, config.Buffer{}, config.Buffer{}
		s.Normalize()
		ok := len(s.Check()) == 0
		if err := checkSpecs([]config.Stream{s}); (err == nil) != ok {
			t.Errorf("%s: the configuration accepts it: %v; the processors: %v", q, ok, err)
		}
	}
}
