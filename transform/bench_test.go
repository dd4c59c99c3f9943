package transform

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

// cpuSeconds is what this process has used, so that a busy machine does not count.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func benchmark(b *testing.B, s config.Stream, keys ...prefix.Key) {
	rnd := rand.New(rand.NewPCG(1, 2))
	c := newChain(b, s, keys...)
	var recs []record.Record
	size := 0
	for i := range 1000 {
		recs = append(recs, record.Record{Data: []byte(event(rnd, i))})
		size += len(recs[i].Data)
	}
	emit := func(d *record.Derived) error {
		if d.Failure != nil {
			b.Fatal(d.Failure)
		}
		return nil
	}
	b.SetBytes(int64(size / 1000))
	b.ReportAllocs()
	start := cpuSeconds()
	i := 0
	for b.Loop() {
		_ = c.Derive(recs[i%1000], emit)
		i++
	}
	b.ReportMetric((cpuSeconds()-start)/(float64(i)*float64(size)/1000/1e9), "cpu-s/GB")
}

func BenchmarkPartitionField(b *testing.B) {
	benchmark(b, steps(queries("c", ".customer_id")), fromQuery("c")...)
}

func BenchmarkPartitionThreeFieldsAndTime(b *testing.B) {
	s := steps(queries("c", ".customer_id", "t", ".labels.team", "s", ".service"))
	s.Partitioning = &config.Partitioning{EventTime: &config.EventTime{Field: ".timestamp"}}
	benchmark(b, s, append(fromQuery("c", "t", "s"), prefix.Key{Namespace: prefix.EventTime, Name: "yyyy/MM/dd/HH"})...)
}

func BenchmarkPartitionFieldThenJQ(b *testing.B) {
	benchmark(b, steps(queries("c", `.timestamp[0:10]`)), fromQuery("c")...)
}

func BenchmarkPartitionJQ(b *testing.B) {
	benchmark(b, steps(queries("c", `.customer_id // .session`)), fromQuery("c")...)
}

func BenchmarkNew(b *testing.B) {
	s := steps(queries("c", ".customer_id", "d", ".timestamp[0:10]", "t", `.labels.team // "none"|ascii_downcase`))
	s.Destination.S3 = &config.S3{Prefix: "!{partitionKeyFromQuery:c}/!{partitionKeyFromQuery:d}/!{partitionKeyFromQuery:t}/"}
	b.ReportAllocs()
	for b.Loop() {
		newChain(b, s, fromQuery("c", "d", "t")...)
	}
}

func BenchmarkNothing(b *testing.B) { benchmark(b, steps()) }

func BenchmarkCloudWatchLogs(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var messages []string
	for i := range 200 {
		messages = append(messages, event(rnd, i))
	}
	plain := payload(messages...)
	c := newChain(b, steps(unzip, extract))
	rec := record.Record{Data: []byte(pack(plain))}
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Derive(rec, func(*record.Derived) error { return nil })
	}
}

func BenchmarkDeaggregateJSON(b *testing.B) {
	benchmark(b, steps(config.Processor{Deaggregate: &config.Deaggregate{Type: "json"}}))
}
