package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hydrant/record"
)

// Metrics of delivery; docs/metrics.md maps them to Firehose's CloudWatch names.
type Metrics struct {
	records, bytes, objects, retries, rejects, conflicts *prometheus.CounterVec
	closes, failures, requests, offered, offeredBytes    *prometheus.CounterVec
	seconds                                              *prometheus.HistogramVec
}

// NewMetrics registers with reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"stream"}, labels...))
	}
	m := &Metrics{
		records:      counter("hydrant_delivery_records_total", "Records delivered to the destination (DeliveryToS3.Records; role backup: BackupToS3.Records).", "role"),
		bytes:        counter("hydrant_delivery_bytes_total", "Bytes of the objects delivered (DeliveryToS3.Bytes).", "role"),
		objects:      counter("hydrant_delivery_objects_total", "Objects delivered (DeliveryToS3.ObjectCount).", "role"),
		retries:      counter("hydrant_delivery_retries_total", "Attempts that failed and are repeated, by the destination's code.", "role", "code"),
		rejects:      counter("hydrant_rejected_records_total", "Records that were set aside under the error prefix: the destination will never take them, or the process did not survive them."),
		conflicts:    counter("hydrant_key_conflicts_total", "Object keys that were taken by something else. Look at the log of the daemon."),
		failures:     counter("hydrant_failed_records_total", "Records that went to the error prefix because they could not be processed, partitioned or converted, by error type.", "type"),
		closes:       counter("hydrant_batches_closed_total", "Batches closed, by reason.", "role", "reason"),
		requests:     counter("hydrant_delivery_requests_total", "Requests to destinations that take records in requests, by what became of them: delivered, retry or rejected.", "role", "outcome"),
		offered:      counter("hydrant_delivery_offered_records_total", "Records in those requests, repeats included (DeliveryToHttpEndpoint.ProcessedRecords).", "role"),
		offeredBytes: counter("hydrant_delivery_offered_bytes_total", "Record bytes in those requests, repeats included (DeliveryToHttpEndpoint.ProcessedBytes).", "role"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hydrant_delivery_attempt_seconds", Help: "Duration of the attempts that succeeded.",
			Buckets: []float64{.005, .02, .1, .5, 1, 2, 5, 10, 30, 60, 300},
		}, []string{"stream"}),
	}
	if reg != nil {
		reg.MustRegister(m.records, m.bytes, m.objects, m.retries, m.rejects, m.conflicts, m.closes, m.failures, m.requests, m.offered, m.offeredBytes, m.seconds)
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

// sent: the destination has taken records of a batch.
func (m *Metrics) sent(stream string, role record.Role, n int, bytes int64) {
	m.records.WithLabelValues(stream, string(role)).Add(float64(n))
	m.bytes.WithLabelValues(stream, string(role)).Add(float64(bytes))
}

// request: a request was answered.
func (m *Metrics) request(stream string, role record.Role, n int, bytes int64, kind record.OutcomeKind) {
	outcome := map[record.OutcomeKind]string{record.Delivered: "delivered", record.Rejected: "rejected"}[kind]
	if outcome == "" {
		outcome = "retry"
	}
	m.requests.WithLabelValues(stream, string(role), outcome).Inc()
	m.offered.WithLabelValues(stream, string(role)).Add(float64(n))
	m.offeredBytes.WithLabelValues(stream, string(role)).Add(float64(bytes))
}

func (m *Metrics) retried(stream string, role record.Role, code string) {
	if code == "" {
		code = "unknown"
	}
	m.retries.WithLabelValues(stream, string(role), code).Inc()
}

func (m *Metrics) setAside(stream string, n int) {
	m.rejects.WithLabelValues(stream).Add(float64(n))
}

func (m *Metrics) failed(stream, errorType string, n int) {
	m.failures.WithLabelValues(stream, errorType).Add(float64(n))
}

func (m *Metrics) conflict(stream string) { m.conflicts.WithLabelValues(stream).Inc() }

// Touch makes the counters that must stay 0 exist at 0: an alert on an increase must see the first one.
func (m *Metrics) Touch(stream string) {
	m.rejects.WithLabelValues(stream)
	m.conflicts.WithLabelValues(stream)
}

// Forget drops the series of a stream that is gone.
func (m *Metrics) Forget(stream string) {
	l := prometheus.Labels{"stream": stream}
	for _, v := range []*prometheus.CounterVec{m.records, m.bytes, m.objects, m.retries, m.rejects, m.conflicts, m.closes, m.failures, m.requests, m.offered, m.offeredBytes} {
		v.DeletePartialMatch(l)
	}
	m.seconds.DeletePartialMatch(l)
}
