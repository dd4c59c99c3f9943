package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// TestRecordOfVeryManyParts: more parts than can be numbered are one failure; the neighbours are delivered.
func TestRecordOfVeryManyParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5)
		s := small("maxsubs")
		s.Format = config.FormatJSONArray
		s.Buffer.Size = 64 << 20
		s.Processors = []config.Processor{{Deaggregate: &config.Deaggregate{Type: "delimited", Delimiter: ";"}}}
		s.Destination.S3.ErrorPrefix = "errors/!{firehose:error-output-type}/"
		w.open(s)
		p := record.NewPut()
		p.Add([]byte(`{"innocent":1}`))
		p.Add([]byte(strings.Repeat("1;", 65535) + "x"))
		p.Add([]byte(`{"innocent":2}`))
		if _, err := w.d.Append(t.Context(), "maxsubs", p); err != nil {
			t.Fatal(err)
		}
		w.sleep(time.Minute)
		if len(w.store.list("b-maxsubs")) != 2 {
			t.Errorf("not delivered")
		}
		w.stop(time.Minute)
	})
}

// TestKilledRecordIsNotDerivedAgain: a record that ended processes and was set aside is left alone by later starts, while another
// partition pins the log.
func TestKilledRecordIsNotDerivedAgain(t *testing.T) {
	for _, storeDown := range []bool{false, true} {
		t.Run(fmt.Sprint(storeDown), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.stage = func(s delivery.Stage) delivery.Stage { return killerStage{s, w} }
				if storeDown {
					w.store.stuck = func(o *record.Object) bool { return true }
				} else {
					w.store.stuck = func(o *record.Object) bool { return strings.HasPrefix(o.Key, "k=1/") }
				}
				w.open(partitioned("parts", 3))
				w.mustPut("parts", 30)
				deaths := 0
				for ; deaths < 60; deaths++ {
					w.sleep(2 * time.Minute)
					if !w.mem.Crashed() {
						break
					}
					w.cut(true, 0)
					w.open()
				}
				w.stop(time.Second) // in order
				for deaths = 0; deaths < 60; deaths++ {
					w.open()
					w.sleep(2 * time.Minute)
					if !w.mem.Crashed() {
						break
					}
					w.cut(true, 0)
				}
				if deaths > 0 {
					w.t.Errorf("store down %v: the record that was set aside killed %d more processes", storeDown, deaths)
				}
				w.store.mu.Lock()
				w.store.stuck = nil
				w.store.mu.Unlock()
				if deaths < 60 {
					w.sleep(10 * time.Minute)
					w.stop(time.Minute)
					w.check()
				}
			})
		})
	}
}

// TestMaxActiveWithinARecord: no partition is closed in the middle of what one record became: its next object would get the same key.
func TestMaxActiveWithinARecord(t *testing.T) {
	for _, mode := range []string{"plain", "unreadable"} {
		t.Run(mode, func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := partitioned("parts-agg", 7)
				s.Partitioning = &config.Partitioning{MaxActive: 2}
				s.Buffer.Size = 1 << 20
				if mode == "unreadable" {
					w.store.unreadable = true
					w.store.set(weather{fail: 0.5})
				}
				w.open(s)
				for range 30 {
					p := record.NewPut()
					var rs []string
					all := ""
					for range 12 {
						r := w.record("parts-agg")
						rs = append(rs, r)
						all += r
					}
					p.Add([]byte(all))
					if err := w.send("parts-agg", p, rs); err != nil {
						w.t.Fatal(err)
					}
					w.sleep(3 * time.Second)
				}
				w.sleep(10 * time.Minute)
				w.stop(time.Minute)
				w.store.mu.Lock()
				if n := len(w.store.exists); n > 0 {
					w.t.Errorf("%s: %d objects met their own neighbours' keys", mode, n)
				}
				w.store.mu.Unlock()
				w.check()
			})
		})
	}
}

// TestPartitionsThroughRestartsWithoutAStore: orderly restarts while the store is down condemn no record.
func TestPartitionsThroughRestartsWithoutAStore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		s := partitioned("parts", 1000)
		s.Buffer.Size = 10
		w.open(s)
		for range 12 {
			w.mustPut("parts", 100)
		}
		w.sleep(30 * time.Second)
		for range 5 {
			w.stop(time.Second)
			w.open()
			w.sleep(30 * time.Second)
		}
		w.store.set(weather{})
		w.sleep(30 * time.Minute)
		w.stop(time.Minute)
		for _, n := range w.store.list("b-parts") {
			if strings.Contains(n, "process-killed") {
				w.t.Errorf("set aside though no process ever died: %s (%d)", n, w.store.get(n).identity.Count)
			}
		}
		w.check()
	})
}

// TestFailuresUnderTwoVersions: an entry whose failures were split off is stuck, and moves to a version where others fail, too: the error
// entries of both are delivered, also once the stream is partitioned no more.
func TestFailuresUnderTwoVersions(t *testing.T) {
	for _, then := range []string{"partitions", "plain"} {
		t.Run(then, func(t *testing.T) {
			inWorld(t, func(w *world) {
				cols := func(b string) *config.Parquet {
					return &config.Parquet{Schema: config.Schema{Columns: []config.SchemaColumn{{Name: "stream", Type: "string"}, {Name: "n", Type: "int"}, {Name: "pad", Type: "string"}, {Name: "a", Type: "int"}, {Name: "b", Type: b}}}}
				}
				make := func(b string) config.Stream {
					s := partitioned("parts", 40)
					s.Format, s.Parquet, s.Buffer.Size = config.FormatParquet, cols(b), 1<<20
					s.Normalize()
					return s
				}
				put := func(more string) {
					w.next++
					r := strings.TrimSuffix(line("parts", w.next, "p"), "}") + more + "}"
					p := record.NewPut()
					p.Add([]byte(r))
					if _, err := w.d.Append(t.Context(), "parts", p); err != nil {
						w.t.Fatal(err)
					}
				}
				w.store.set(weather{hang: 1}) // 16 attempts are under way, the other entries are in the journal and not built yet
				w.open(make("string"))
				for range 40 {
					put(`,"a":"bad","b":"x"`)
				}
				for range 40 {
					put(`,"a":1,"b":"1"`)
				}
				for range 40 {
					put(`,"a":2,"b":"word"`)
				}
				w.sleep(30 * time.Second)
				w.stop(time.Second)
				b := make("int")
				if then == "plain" {
					b = small("parts")
					b.Format, b.Parquet = config.FormatParquet, cols("int")
					b.Normalize()
				}
				w.store.set(weather{fail: 1})
				w.open(b)
				w.sleep(time.Minute)
				w.store.set(weather{})
				w.sleep(10 * time.Minute)
				for _, e := range w.d.stream("parts").readers[0].journal.Pending() {
					t.Error("pending", e.N, e.Key, e.SetAside, e.Only.Len())
				}
				w.stop(time.Minute)
				t.Log(w.store)
			})
		})
	}
}

// TestStuckPartitionMeetsOtherKeys: the bucket's name was wrong; the version that corrects it has other partition keys.
func TestStuckPartitionMeetsOtherKeys(t *testing.T) {
	for _, way := range []string{"plain to partitions", "one key to two", "partitions to plain"} {
		t.Run(way, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := small("parts"), partitioned("parts", 3)
				if way == "one key to two" {
					a, b = partitioned("parts", 3), partitioned("parts", 3)
					b.Processors[1].Partition = append(b.Processors[1].Partition, config.PartitionQuery{Name: "s", Query: ".stream"})
					b.Destination.S3.Prefix = "k=!{partitionKeyFromQuery:k}/s=!{partitionKeyFromQuery:s}/"
				}
				if way == "partitions to plain" {
					a, b = b, a
				}
				da := *a.Destination.S3
				da.Bucket = "typo"
				a.Destination.S3 = &da
				w.store.setBucket("typo", weather{fail: 1})
				w.open(a)
				w.mustPut("parts", 30)
				w.sleep(time.Minute)
				w.stop(time.Second)
				w.open(b)
				w.sleep(time.Minute)
				w.mustPut("parts", 30)
				w.sleep(30 * time.Minute)
				for _, st := range w.d.Statuses() {
					if st.BacklogBytes > 0 {
						w.t.Errorf("%s: stuck: %s", way, st.Words(time.Now()))
					}
				}
				_ = w.tryStop(time.Second)
			})
		})
	}
}

// TestFloorAboveWhatWasClosed: the tail of the log made nothing (dropped on purpose), its last segment is lost: positions below the floor
// are not given out again.
func TestFloorAboveWhatWasClosed(t *testing.T) {
	inWorld(t, func(w *world) {
		s := partitioned("parts", 3)
		w.stage = func(s delivery.Stage) delivery.Stage { return dropStage{s} }
		w.open(s)
		w.mustPut("parts", 5)
		for range 20 { // white space becomes no record at all
			p := record.NewPut()
			p.Add([]byte("   "))
			if _, err := w.d.Append(t.Context(), "parts", p); err != nil {
				t.Fatal(err)
			}
		}
		w.sleep(time.Minute)
		rd := w.d.stream("parts").readers[0]
		t.Logf("closed %d, floor %d, noted %d", rd.journal.Closed().Pos, rd.journal.Settled().Pos, rd.journal.Noted())
		w.stop(time.Minute)
		t.Log(w.store)
		dir := w.streamFolder("parts") + "/log"
		names, _ := w.mem.ReadDir(dir)
		t.Log(names)
		for _, n := range names { // the last segment is lost
			if strings.HasSuffix(n, ".seg") {
				if err := w.mem.Remove(dir + "/" + n); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.open()
		w.mustPut("parts", 10)
		w.sleep(time.Minute)
		w.stop(time.Minute)
		w.check()
	})
}

// dropStage drops records.
type dropStage struct{ delivery.Stage }

func (d dropStage) Derive(rec record.Record, emit func(*record.Derived) error) error {
	if strings.TrimSpace(string(rec.Data)) == "" { // as control messages of CloudWatch Logs are
		return nil
	}
	return d.Stage.Derive(rec, emit)
}

var _ = fmt.Sprint
var _ = context.Background

// TestFailedBuildKeepsItsLane: while objects cannot be built, their retries do not read the log again and again.
func TestFailedBuildKeepsItsLane(t *testing.T) {
	inWorld(t, func(w *world) {
		s := parquetParts("pq-parts")
		s.Processors[1].Partition[0].Query = ".n % 200"
		s.Buffer.Size = 1 << 20
		w.open(s)
		var read atomic.Int64
		w.mem.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.Contains(op.Name, "/log/") {
				read.Add(int64(op.N))
			}
			if strings.Contains(op.Name, "schemas.json") {
				return syscall.ENOSPC
			}
			return nil
		})
		p := record.NewPut()
		var rs []string
		written := int64(0)
		for range 2000 {
			r := w.record("pq-parts")
			rs = append(rs, r)
			p.Add([]byte(r))
			written += int64(len(r))
		}
		if err := w.send("pq-parts", p, rs); err != nil {
			t.Fatal(err)
		}
		w.sleep(2 * time.Minute)
		t.Logf("%d bytes written, %d read in 2 minutes of a full disk", written, read.Load())
		if read.Load() > 20*written {
			t.Error("the log is read again and again")
		}
		w.mem.SetHook(nil)
		w.sleep(10 * time.Minute)
		w.stop(time.Minute)
		w.check()
	})
}

// TestThreeKillsWhileOnePartitionHangs: attempts at one partition hang while the process is killed three times; the others do not wait.
func TestThreeKillsWhileOnePartitionHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.before = func(o *record.Object) bool { return strings.HasPrefix(o.Key, "k=0/") }
		s := partitioned("parts", 3)
		w.open(s)
		w.mustPut("parts", 6)
		for range 4 {
			w.sleep(time.Minute)
			w.cut(true, 0)
			w.open()
		}
		w.mustPut("parts", 60)
		w.sleep(30 * time.Minute)
		n := 0
		for _, name := range w.store.list("b-parts") {
			if !strings.HasPrefix(name, "b-parts/k=0/") {
				n += w.store.get(name).identity.Count
			}
		}
		if n < 30 {
			t.Errorf("only %d records of other partitions have arrived in half an hour", n)
		}
		_ = w.tryStop(time.Second)
	})
}

// TestDeletedPartitionsDrain: deletion of a stream with many open partitions, a slow store and a long interval.
func TestDeletedPartitionsDrain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 0.3, latency: 2 * time.Second})
		w.open(small("other"))
		s := partitioned("parts", 1000)
		s.Buffer.Size, s.Buffer.Interval = 1<<20, config.Duration(900*time.Second)
		if _, err := w.d.Create(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			w.mustPut("parts", 100)
		}
		w.sleep(time.Second)
		if err := w.d.Delete(t.Context(), "parts", false); err != nil {
			t.Fatal(err)
		}
		w.sleep(10 * time.Minute)
		if w.d.stream("parts") != nil {
			t.Error("still there")
		}
		w.stop(time.Minute)
		w.check()
	})
}

// TestPartitionsComeAndGoWithABackup: partitions and a backup of everything, crashed at every few writes, with switches of the mode between lives.
func TestPartitionsComeAndGoWithABackup(t *testing.T) {
	for n := 1; n < 400; n += 5 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, int64(n))
			w.store.set(weather{storedError: 0.3, fail: 0.3})
			make := func(mode int) config.Stream {
				s := partitioned("parts-all", 2+mode%3)
				if mode%2 == 1 {
					s = small("parts-all")
					s.Processors = []config.Processor{{Deaggregate: &config.Deaggregate{Type: "json"}}}
				}
				s.Backup = config.Backup{Mode: config.BackupAll, S3: &config.S3{Bucket: "b-backup"}, Buffer: config.Buffer{Size: 700, Interval: config.Duration(30 * time.Second)}}
				s.Normalize()
				return s
			}
			for life := range 5 {
				w.mem.CrashAt(w.mem.Ops() + n + life*3)
				w.cfg.Streams = []config.Stream{make(n + life)}
				if w.tryOpen() == nil {
					for range 3 {
						_ = w.put("parts-all", 8)
						w.sleep(time.Duration(n%13) * time.Second)
					}
				}
				w.cut((n+life)%2 == 0, 0.5)
			}
			w.store.set(weather{})
			w.open(make(0))
			w.mustPut("parts-all", 8)
			w.sleep(5 * time.Minute)
			w.stop(time.Minute)
			w.check()
			if t.Failed() {
				fmt.Println("crash at write", n)
			}
		})
		if t.Failed() {
			break
		}
	}
}

// TestFullDiskAndOneStuckPartition: lanes may not be written, and one small partition is stuck: the others drain all the same.
func TestFullDiskAndOneStuckPartition(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cfg.MinFree = 100 * config.MB
		w.store.stuck = func(o *record.Object) bool { return strings.HasPrefix(o.Key, "k=0/") }
		s := partitioned("parts", 500)
		s.Buffer.Size, s.Buffer.Interval = 128*config.MB, config.Duration(900*time.Second)
		w.open(s)
		put := func(i int) error {
			p := record.NewPut()
			for k := range 2000 {
				p.Add([]byte(line("parts", i*2000+k+1, strings.Repeat("x", 1000))))
			}
			_, err := w.d.Append(t.Context(), "parts", p)
			return err
		}
		accepted := 0
		for i := range 40 {
			if put(i) != nil {
				break
			}
			accepted++
		}
		w.cut(true, 0)
		free, _ := w.mem.FreeBytes(dataDir)
		total, _ := w.mem.TotalBytes(dataDir)
		w.mem.SetCapacity(total - free + 8<<20)
		w.open()
		w.sleep(2 * time.Hour)
		n := 0
		for _, name := range w.store.list("b-parts") {
			n += w.store.get(name).identity.Count
		}
		t.Logf("%d puts of 2000 accepted, %d records delivered after two hours; %v", accepted, n, w.d.stream("parts").status().Words(time.Now()))
		if accepted*2000-n > accepted*10+2000 {
			t.Error("a stuck partition holds up the others")
		}
		_ = w.tryStop(time.Second)
	})
}
