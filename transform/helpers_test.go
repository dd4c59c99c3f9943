package transform

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

// got is a derived record that outlives the call it was handed to.
type got struct {
	sub             uint16
	data, raw, part string
	kind, code, why string
}

// derive gives everything of one record and checks what must hold for any.
func derive(t testing.TB, c *Chain, data string) []got {
	t.Helper()
	rec := record.Record{ID: record.ID{Epoch: record.Epoch{7}, Pos: 42}, ArrivalMillis: 99, Data: []byte(data)}
	var all []got
	err := c.Derive(rec, func(d *record.Derived) error {
		if d.ID != rec.ID || d.ArrivalMillis != 99 || int(d.Sub) != len(all) {
			t.Fatalf("record %d is %v at %d, number %d", len(all), d.ID, d.ArrivalMillis, d.Sub)
		}
		g := got{sub: d.Sub, data: string(d.Data), raw: string(d.Raw), part: string(d.Partition)}
		if f := d.Failure; f != nil {
			if f.Type == "" || f.Code == "" || f.Message == "" || len(f.Message) > maxMessageBytes+3 {
				t.Fatalf("failure %+v", f)
			}
			if g.part != "" || g.data != g.raw {
				t.Fatalf("a failure with partition %q and data %q, raw %q", g.part, g.data, g.raw)
			}
			g.kind, g.code, g.why = f.Type, f.Code, f.Message
		}
		all = append(all, g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(rec.Data) != data {
		t.Fatal("the record was written to")
	}
	return all
}

func newChain(t testing.TB, s config.Stream, keys ...prefix.Key) *Chain {
	t.Helper()
	c, err := New(s, keys, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func steps(p ...config.Processor) config.Stream { return config.Stream{Processors: p} }

func queries(nameAndQuery ...string) config.Processor {
	var p config.Processor
	for i := 0; i < len(nameAndQuery); i += 2 {
		p.Partition = append(p.Partition, config.PartitionQuery{Name: nameAndQuery[i], Query: nameAndQuery[i+1]})
	}
	return p
}

func fromQuery(names ...string) []prefix.Key {
	var keys []prefix.Key
	for _, n := range names {
		keys = append(keys, prefix.Key{Namespace: prefix.FromQuery, Name: n})
	}
	return keys
}

// datas are the records, failures by their type.
func datas(all []got) []string {
	out := []string{}
	for _, g := range all {
		if g.kind != "" {
			out = append(out, "!"+g.kind)
		} else {
			out = append(out, g.data)
		}
	}
	return out
}

// event is a log event of 20 fields and about 670 bytes.
func event(rnd *rand.Rand, n int) string {
	service := []string{"checkout", "catalog", "search", "gateway", "billing"}[rnd.IntN(5)]
	var b strings.Builder
	fmt.Fprintf(&b, `{"timestamp":"2026-01-%02dT%02d:%02d:%02d.%06dZ","level":"info","service":%q,"version":"4.%d.%d",`,
		1+n%28, n%24, n%60, n%60, rnd.IntN(1e6), service, rnd.IntN(20), rnd.IntN(10))
	fmt.Fprintf(&b, `"host":"node-%03d.example.internal","pod":"%s-%08x","region":"eu-west-1","trace_id":"%016x%016x","span_id":"%016x",`,
		rnd.IntN(200), service, rnd.Uint32(), rnd.Uint64(), rnd.Uint64(), rnd.Uint64())
	fmt.Fprintf(&b, `"user_id":%d,"customer_id":"c-%05d","session":"%024x","client_ip":"%d.%d.%d.%d","method":"GET",`,
		rnd.IntN(1e7), rnd.IntN(1e5), rnd.Uint64(), rnd.IntN(255), rnd.IntN(255), rnd.IntN(255), rnd.IntN(255))
	fmt.Fprintf(&b, `"path":"/api/v1/orders/%d","status":200,"duration_ms":%.3f,"bytes":%d,`, rnd.IntN(1e6), rnd.Float64()*300, rnd.IntN(1e5))
	b.WriteString(`"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",`)
	b.WriteString(`"message":"request handled; the answer was taken from the cache of the nearest node","labels":{"team":"core","tier":"gold","canary":false}}`)
	return b.String()
}

// deriveQuick is derive without checks, for benchmarks.
func deriveQuick(t testing.TB, c *Chain, data string) {
	rec := record.Record{Data: []byte(data)}
	if err := c.Derive(rec, func(*record.Derived) error { return nil }); err != nil {
		t.Fatal(err)
	}
}
