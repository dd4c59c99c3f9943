package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hydrant/record"
)

// Metrics of delivery; docs/metrics.md maps them to Firehose's CloudWatch names.
type Metrics struct {
	records, bytes, objects, retries, rejects, conflicts *prometheus.CounterVec
	closes                                               *prometheus.CounterVec
	seconds                                              *prometheus.HistogramVec
}

// NewMetrics registers with reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"stream"}, labels...))
	}
	m := &Metrics{
		records:   counter("hydrant_delivery_records_total", "Records delivered to the destination (DeliveryToS3.Records; role backup: BackupToS3.Records).", "role"),
		bytes:     counter("hydrant_delivery_bytes_total", "Bytes of the objects delivered (DeliveryToS3.Bytes).", "role"),
		objects:   counter("hydrant_delivery_objects_total", "Objects delivered (DeliveryToS3.ObjectCount).", "role"),
		retries:   counter("hydrant_delivery_retries_total", "Attempts that failed and are repeated, by the destination's code.", "code"),
		rejects:   counter("hydrant_rejected_records_total", "Records that the destination will never take; they go to the error prefix."),
		conflicts: counter("hydrant_key_conflicts_total", "Object keys that were taken by something else. Look at the log of the daemon."),
		closes:    counter("hydrant_batches_closed_total", "Batches closed, by reason.", "role", "reason"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hydrant_delivery_attempt_seconds", Help: "Duration of the attempts that succeeded.",
			Buckets: []float64{.005, .02, .1, .5, 1, 2, 5, 10, 30, 60, 300},
		}, []string{"stream"}),
	}
	if reg != nil {
		reg.MustRegister(m.records, m.bytes, m.objects, m.retries, m.rejects, m.conflicts, m.closes, m.seconds)
	}
	return m
}

func (m *Metrics) closed(stream string, role record.Role, reason record.CloseReason) {
	m.closes.WithLabelValues(stream, string(role), string(reason)).Inc()
}

func (m *Metrics) delivered(stream string, w *work) {
	if w.object == nil || w.object.Identity.Count == 0 {
		return
	}
	role := string(w.object.Identity.Role)
	m.records.WithLabelValues(stream, role).Add(float64(w.object.Identity.Count))
	m.bytes.WithLabelValues(stream, role).Add(float64(w.object.Size))
	m.objects.WithLabelValues(stream, role).Inc()
	m.seconds.WithLabelValues(stream).Observe(time.Since(w.began).Seconds())
}

func (m *Metrics) retried(stream, code string) {
	if code == "" {
		code = "unknown"
	}
	m.retries.WithLabelValues(stream, code).Inc()
}

func (m *Metrics) rejected(stream string, n int) {
	m.rejects.WithLabelValues(stream).Add(float64(n))
}

func (m *Metrics) conflict(stream string) { m.conflicts.WithLabelValues(stream).Inc() }

// Forget drops the series of a stream that is gone.
func (m *Metrics) Forget(stream string) {
	l := prometheus.Labels{"stream": stream}
	for _, v := range []*prometheus.CounterVec{m.records, m.bytes, m.objects, m.retries, m.rejects, m.conflicts, m.closes} {
		v.DeletePartialMatch(l)
	}
	m.seconds.DeletePartialMatch(l)
}
