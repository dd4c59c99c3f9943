package daemon

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/record"
)

// discard is a destination that takes all at once.
type discard struct{}

func (d *discard) Send(_ context.Context, r *record.Request) record.Reply {
	return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}}
}

func (d *discard) Limits() record.RequestLimits {
	return record.RequestLimits{Records: 5000, Bytes: 5 << 20, Concurrent: 2}
}

func (d *discard) Describe(*record.Item) []record.Field { return nil }

// BenchmarkRequests: 64 MB of records from the log to a destination that discards them, without what producers and destinations cost.
func BenchmarkRequests(b *testing.B) {
	c := config.Default()
	c.DataDir, c.MinFree = b.TempDir(), config.MB
	s := requesting("s", config.Destination{OpenSearch: &config.OpenSearch{URLs: []string{"http://search.invalid"}, Index: "i"}})
	s.Buffer = config.Buffer{Size: 32 * config.MB, Interval: config.Duration(15 * time.Minute), MaxBacklog: 20 * config.GB}
	c.Streams = []config.Stream{s}
	d, err := Open(Options{Config: c, Requester: func(string, config.Destination) delivery.Requester { return &discard{} }})
	if err != nil {
		b.Fatal(err)
	}
	const each, puts = 6000, 16
	line := fmt.Sprintf(`{"message":%q}`, strings.Repeat("x", 650)) + "\n"
	b.SetBytes(int64(len(line)) * each * puts)
	b.ReportAllocs()
	for b.Loop() {
		for range puts {
			p := record.NewPut()
			for range each {
				p.Add([]byte(line))
			}
			if _, err := d.Append(context.Background(), "s", p); err != nil {
				b.Fatal(err)
			}
			p.Release()
		}
		if err := d.stream("s").drain(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}
