package firehose

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the Firehose API. Labels are bounded: operations are the known ones or "unknown", and a stream
// becomes a label only when a put to it succeeded. A nil *Metrics counts nothing. Safe for concurrent use.
type Metrics struct {
	requests *prometheus.CounterVec
	puts     *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg; it panics when they are there already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hydrant_firehose_requests_total",
			Help: "Requests to the Firehose API by operation and HTTP status.",
		}, []string{"op", "status"}),
		puts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hydrant_firehose_put_seconds",
			Help:    "Time from reading a put to its records being durable, for puts that were accepted.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"stream", "op"}),
	}
	reg.MustRegister(m.requests, m.puts)
	return m
}

// Forget drops the series of a stream that was deleted.
func (m *Metrics) Forget(stream string) {
	if m != nil {
		m.puts.DeletePartialMatch(prometheus.Labels{"stream": stream})
	}
}

func (m *Metrics) request(op string, status int) {
	if m != nil {
		m.requests.WithLabelValues(op, strconv.Itoa(status)).Inc()
	}
}

func (m *Metrics) put(stream, op string, took time.Duration) {
	if m != nil {
		m.puts.WithLabelValues(stream, op).Observe(took.Seconds())
	}
}
