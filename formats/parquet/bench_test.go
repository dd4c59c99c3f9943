package parquet

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"

	"hydrant/config"
	"hydrant/config/schema"
)

func scalarType(k schema.Kind) *schema.Type    { return &schema.Type{Kind: k} }
func arrayOf(t *schema.Type) *schema.Type      { return &schema.Type{Kind: schema.Array, Elem: t} }
func structOf(f ...schema.Column) *schema.Type { return &schema.Type{Kind: schema.Struct, Fields: f} }
func decimalType(p, s int) *schema.Type {
	return &schema.Type{Kind: schema.Decimal, Precision: p, Scale: s}
}
func col(name string, t *schema.Type) schema.Column { return schema.Column{Name: name, Type: t} }
func mapOf(k, v *schema.Type) *schema.Type          { return &schema.Type{Kind: schema.Map, Key: k, Elem: v} }

var (
	tString, tBigInt, tInt = scalarType(schema.String), scalarType(schema.BigInt), scalarType(schema.Int)
	tDouble, tBool, tTime  = scalarType(schema.Double), scalarType(schema.Boolean), scalarType(schema.Timestamp)
	tDate, tBinary, tFloat = scalarType(schema.Date), scalarType(schema.Binary), scalarType(schema.Float)
	tTinyInt, tSmallInt    = scalarType(schema.TinyInt), scalarType(schema.SmallInt)
)

// flatColumns are a web event.
func flatColumns() []schema.Column {
	return []schema.Column{
		col("timestamp", tTime), col("level", tString), col("service", tString), col("host", tString), col("region", tString),
		col("request_id", tString), col("trace_id", tString), col("user_id", tBigInt), col("session_id", tString), col("method", tString),
		col("path", tString), col("referrer", tString), col("status", tInt), col("bytes_sent", tBigInt), col("bytes_received", tInt),
		col("duration_ms", tDouble), col("client_ip", tString), col("user_agent", tString), col("cached", tBool), col("message", tString),
	}
}

type event struct {
	Timestamp     string  `json:"timestamp"`
	Level         string  `json:"level"`
	Service       string  `json:"service"`
	Host          string  `json:"host"`
	Region        string  `json:"region"`
	RequestID     string  `json:"request_id"`
	TraceID       string  `json:"trace_id"`
	UserID        int64   `json:"user_id"`
	SessionID     string  `json:"session_id"`
	Method        string  `json:"method"`
	Path          string  `json:"path"`
	Referrer      string  `json:"referrer"`
	Status        int     `json:"status"`
	BytesSent     int     `json:"bytes_sent"`
	BytesReceived int     `json:"bytes_received"`
	DurationMs    float64 `json:"duration_ms"`
	ClientIP      string  `json:"client_ip"`
	UserAgent     string  `json:"user_agent"`
	Cached        bool    `json:"cached"`
	Message       string  `json:"message"`
}

type nestedEvent struct {
	event
	User struct {
		ID      int64  `json:"id"`
		Name    string `json:"name"`
		Address struct {
			City string `json:"city"`
			Zip  string `json:"zip"`
		} `json:"address"`
	} `json:"user"`
	Tags   []string          `json:"tags"`
	Labels map[string]string `json:"labels"`
	Items  []item            `json:"items"`
}

type item struct {
	SKU   string  `json:"sku"`
	Count int     `json:"count"`
	Price float64 `json:"price"`
}

func nestedColumns() []schema.Column {
	return append(flatColumns(),
		col("user", structOf(col("id", tBigInt), col("name", tString), col("address", structOf(col("city", tString), col("zip", tString))))),
		col("tags", arrayOf(tString)), col("labels", mapOf(tString, tString)),
		col("items", arrayOf(structOf(col("sku", tString), col("count", tInt), col("price", tDouble)))))
}

func pick(r *rand.Rand, s ...string) string { return s[r.IntN(len(s))] }

func makeEvent(r *rand.Rand, i int) event {
	agent := fmt.Sprintf("Mozilla/5.0 (%s) AppleWebKit/537.%d (KHTML, like Gecko) Chrome/%d.0.%d.%d Safari/537.36",
		pick(r, "X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "iPhone; CPU iPhone OS 17_1 like Mac OS X"),
		r.IntN(40), 100+r.IntN(30), r.IntN(6000), r.IntN(200))
	return event{
		Timestamp: fmt.Sprintf("2026-11-%02dT%02d:%02d:%02d.%03dZ", 1+i%28, i/3600%24, i/60%60, i%60, r.IntN(1000)),
		Level:     pick(r, "INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG"), Service: pick(r, "checkout", "cart", "search", "auth", "catalog"),
		Host: fmt.Sprintf("ip-10-0-%d-%d.eu-west-1.compute.internal", r.IntN(8), r.IntN(64)), Region: pick(r, "eu-west-1", "us-east-1", "ap-south-1"),
		RequestID: fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16), r.Int64N(1<<48)),
		TraceID:   fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()), UserID: r.Int64N(1e9), SessionID: fmt.Sprintf("%024x", r.Uint64()),
		Method: pick(r, "GET", "GET", "POST", "PUT"), Path: fmt.Sprintf("/api/v2/%s/%d/%s?page=%d&sort=asc", pick(r, "products", "orders", "users"), r.IntN(1e6), pick(r, "details", "reviews", "items"), r.IntN(50)),
		Referrer: "https://www.example.com/" + pick(r, "home", "search?q=shoes", "category/garden/tools", "account/orders"),
		Status:   []int{200, 200, 200, 201, 204, 301, 404, 500}[r.IntN(8)], BytesSent: r.IntN(1 << 20), BytesReceived: r.IntN(4096), DurationMs: float64(r.IntN(2e6)) / 1000,
		ClientIP: fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(220), r.IntN(256), r.IntN(256), r.IntN(256)), UserAgent: agent, Cached: r.IntN(3) == 0,
		Message: fmt.Sprintf("request finished after %d ms, %d upstream calls, cache %s, shard \"%d\"", r.IntN(2000), r.IntN(9), pick(r, "hit", "miss", "stale"), r.IntN(64)),
	}
}

func flatRecords(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, n)
	for i := range out {
		out[i], _ = json.Marshal(makeEvent(r, i))
	}
	return out
}

func nestedRecords(n int) [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	out := make([][]byte, n)
	for i := range out {
		e := nestedEvent{event: makeEvent(r, i)}
		e.User.ID, e.User.Name = r.Int64N(1e9), pick(r, "Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov")
		e.User.Address.City, e.User.Address.Zip = pick(r, "Wien", "Graz", "Linz"), fmt.Sprint(1000+r.IntN(9000))
		for range r.IntN(5) {
			e.Tags = append(e.Tags, pick(r, "mobile", "beta", "eu", "returning", "promo-2026"))
		}
		e.Labels = map[string]string{"team": pick(r, "a", "b"), "build": fmt.Sprint(r.IntN(1000))}
		for range r.IntN(4) {
			e.Items = append(e.Items, item{fmt.Sprintf("SKU-%06d", r.IntN(1e6)), 1 + r.IntN(9), float64(r.IntN(1e5)) / 100})
		}
		out[i], _ = json.Marshal(e)
	}
	return out
}

func benchmarkEncode(b *testing.B, columns []schema.Column, records [][]byte) {
	size := int64(0)
	for _, r := range records {
		size += int64(len(r))
	}
	for _, c := range []config.Parquet{{}, {Compression: "zstd"}, {Compression: "none"}, {Compression: "gzip"}, {Dictionary: "on"}, {Dictionary: "off"}} {
		b.Run(fmt.Sprintf("%s/dictionary=%s", orWord(c.Compression, "snappy"), orWord(c.Dictionary, "auto")), func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			var out countWriter
			before := cpuSeconds()
			for b.Loop() {
				out = 0
				e, err := New(&out, Options{Columns: columns, Config: c})
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range records {
					if err := e.Write(r); err != nil {
						b.Fatal(err)
					}
				}
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpuSeconds()-before), "MB/cpu-s")
			b.ReportMetric(100*float64(out)/float64(size), "%size")
		})
	}
}

// cpuSeconds is what the process used so far, so that other load on the machine does not count.
func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func orWord(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

type countWriter int64

func (c *countWriter) Write(b []byte) (int, error) { *c += countWriter(len(b)); return len(b), nil }

var _ io.Writer = (*countWriter)(nil)

func BenchmarkFlat(b *testing.B)   { benchmarkEncode(b, flatColumns(), flatRecords(60_000)) }
func BenchmarkNested(b *testing.B) { benchmarkEncode(b, nestedColumns(), nestedRecords(40_000)) }

// BenchmarkSmallFiles is what a partition with few records costs.
func BenchmarkSmallFiles(b *testing.B) {
	records := flatRecords(100)
	b.ReportAllocs()
	for b.Loop() {
		e, err := New(io.Discard, Options{Columns: flatColumns()})
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range records {
			if err := e.Write(r); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
