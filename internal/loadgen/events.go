package loadgen

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// generator makes log events: JSON objects of about 20 fields, no two alike, which gzip to about a quarter. Not for concurrent use.
type generator struct {
	rng  *rand.Rand
	size int // mean, in bytes
	at   time.Time
	seq  int
}

func newGenerator(size int, seed uint64) *generator {
	return &generator{rng: rand.New(rand.NewPCG(seed, uint64(size))), size: size, at: time.Now().UTC()}
}

var (
	words = []string{"request", "completed", "connection", "timeout", "retrying", "upstream", "cache", "miss", "for", "key", "session",
		"expired", "user", "payload", "validated", "queue", "depth", "above", "threshold", "worker", "started", "with", "shard", "rebalanced",
		"after", "token", "refreshed", "slow", "query", "returned", "rows", "from", "replica"}
	services = []string{"checkout", "catalog", "search", "payments", "gateway", "inventory"}
	levels   = []string{"info", "info", "info", "info", "warn", "debug", "error"}
	paths    = []string{"/api/v1/orders", "/api/v1/products", "/api/v2/search", "/healthz", "/api/v1/cart/items", "/login"}
	methods  = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE"}
	statuses = []string{"200", "200", "200", "200", "201", "204", "301", "404", "429", "500"}
	agents   = []string{"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "okhttp/4.12.0", "python-requests/2.32.4", "curl/8.14.1"}
	zones    = []string{"eu-central-1a", "eu-central-1b", "eu-central-1c"}
)

func (g *generator) one(of []string) string { return of[g.rng.IntN(len(of))] }

// event appends one event without a line feed. Its length is the mean, give or take a quarter; the last fields are
// left out, and the message is stretched, to get there.
func (g *generator) event(dst []byte) []byte {
	start := len(dst)
	want := g.size*3/4 + g.rng.IntN(g.size/2+1)
	g.seq++
	g.at = g.at.Add(time.Duration(g.rng.IntN(3_000_000)))
	dst = append(dst, `{"ts":"`...)
	dst = g.at.AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendInt(dst, int64(g.seq), 10)
	for i := range g.fields() {
		// Room for one more field, the message's frame and the brace.
		if len(dst)-start+120 > want {
			break
		}
		dst = g.field(dst, i)
	}
	return g.message(dst, start, want)
}

func (g *generator) fields() int { return 18 }

func (g *generator) field(dst []byte, i int) []byte {
	switch i {
	case 0:
		return g.text(dst, "level", g.one(levels))
	case 1:
		return g.text(dst, "service", g.one(services))
	case 2:
		return g.number(dst, "status", g.one(statuses))
	case 3:
		return g.text(dst, "method", g.one(methods))
	case 4:
		return g.text(dst, "path", g.one(paths))
	case 5:
		return g.number(dst, "duration_ms", strconv.FormatFloat(float64(g.rng.IntN(500_000))/1000, 'f', -1, 64))
	case 6:
		return g.text(dst, "trace_id", strconv.FormatUint(g.rng.Uint64(), 16)+strconv.FormatUint(g.rng.Uint64(), 16))
	case 7:
		return g.text(dst, "client_ip", "10."+g.digits(256)+"."+g.digits(256)+"."+g.digits(256))
	case 8:
		return g.number(dst, "user_id", g.digits(100_000))
	case 9:
		return g.text(dst, "request_id", strconv.FormatUint(g.rng.Uint64(), 36))
	case 10:
		return g.number(dst, "bytes_in", g.digits(4_000))
	case 11:
		return g.number(dst, "bytes_out", g.digits(60_000))
	case 12:
		return g.text(dst, "host", g.one(services)+"-"+g.digits(40)+".internal")
	case 13:
		return g.text(dst, "zone", g.one(zones))
	case 14:
		return g.text(dst, "user_agent", g.one(agents))
	case 15:
		return g.number(dst, "cached", strconv.FormatBool(g.rng.IntN(3) == 0))
	case 16:
		return g.text(dst, "version", "2026.11."+g.digits(12))
	default:
		return g.number(dst, "retries", g.digits(4))
	}
}

func (g *generator) digits(below int) string { return strconv.Itoa(g.rng.IntN(below)) }

func (g *generator) text(dst []byte, key, value string) []byte {
	return append(append(append(append(append(dst, `,"`...), key...), `":"`...), value...), '"')
}

func (g *generator) number(dst []byte, key, value string) []byte {
	return append(append(append(append(dst, `,"`...), key...), `":`...), value...)
}

// message fills the event up with words.
func (g *generator) message(dst []byte, start, want int) []byte {
	const frame = `,"message":""}`
	if len(dst)-start+len(frame) > want {
		return append(dst, '}')
	}
	dst = append(dst, `,"message":"`...)
	for len(dst)-start+2 < want {
		dst = append(append(dst, g.one(words)...), ' ')
		if g.rng.IntN(3) == 0 {
			dst = append(append(dst, g.digits(1_000_000)...), ' ')
		}
	}
	dst = dst[:min(len(dst), start+want-2)]
	return append(dst, `"}`...)
}
