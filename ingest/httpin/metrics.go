package httpin

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the HTTP way in. A stream becomes a label only when a put to it succeeded, so that callers
// cannot invent labels. A nil *Metrics counts nothing. Safe for concurrent use.
type Metrics struct {
	requests *prometheus.CounterVec
	puts     *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg; it panics when they are there already.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hydrant_http_requests_total",
			Help: "Requests under /v1/ by HTTP status.",
		}, []string{"status"}),
		puts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hydrant_http_put_seconds",
			Help:    "Time from reading a request to its records being durable, for requests that were accepted.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"stream"}),
	}
	reg.MustRegister(m.requests, m.puts)
	return m
}

// Forget drops the series of a stream that was deleted.
func (m *Metrics) Forget(stream string) {
	if m != nil {
		m.puts.DeleteLabelValues(stream)
	}
}

func (m *Metrics) request(status int) {
	if m != nil {
		m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	}
}

func (m *Metrics) put(stream string, took time.Duration) {
	if m != nil {
		m.puts.WithLabelValues(stream).Observe(took.Seconds())
	}
}
