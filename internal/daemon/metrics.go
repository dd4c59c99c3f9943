package daemon

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hydrant/delivery"
	"hydrant/ingest/firehose"
	"hydrant/ingest/httpin"
	"hydrant/record"
)

// metrics of what the daemon itself sees; docs/metrics.md maps them to Firehose's CloudWatch names.
type metrics struct {
	records, bytes, damaged, refused *prometheus.CounterVec

	syncs    prometheus.Histogram
	delivery *delivery.Metrics
	firehose *firehose.Metrics
	http     *httpin.Metrics
}

func newMetrics(reg prometheus.Registerer) *metrics {
	stream := []string{"stream"}
	m := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hydrant_incoming_records_total", Help: "Records accepted, durable in the log (IncomingRecords)."}, stream),
		bytes:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hydrant_incoming_bytes_total", Help: "Bytes of the records accepted (IncomingBytes)."}, stream),
		damaged: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hydrant_log_damaged_frames_total", Help: "Damaged stretches of the log that were set aside."}, stream),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hydrant_puts_refused_total", Help: "Puts that were answered 503: backlog or disk full, or the log cannot be written (ThrottledRecords counts their records)."}, stream),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hydrant_log_sync_seconds", Help: "Duration of the log's syncs.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		delivery: delivery.NewMetrics(reg),
		firehose: firehose.NewMetrics(reg),
		http:     httpin.NewMetrics(reg),
	}
	reg.MustRegister(m.records, m.bytes, m.damaged, m.refused, m.syncs)
	return m
}

func (m *metrics) incoming(stream string, records int, bytes int64) {
	m.records.WithLabelValues(stream).Add(float64(records))
	m.bytes.WithLabelValues(stream).Add(float64(bytes))
}

// touch makes a stream's counters exist at 0: an alert on an increase must see the first one.
func (m *metrics) touch(stream string) {
	for _, v := range []*prometheus.CounterVec{m.records, m.bytes, m.damaged, m.refused} {
		v.WithLabelValues(stream)
	}
	m.delivery.Touch(stream)
}

func (m *metrics) forget(stream string) {
	for _, v := range []*prometheus.CounterVec{m.records, m.bytes, m.damaged, m.refused} {
		v.DeleteLabelValues(stream)
	}
	m.delivery.Forget(stream)
	m.firehose.Forget(stream)
	m.http.Forget(stream)
}

// gauges reads the state of all streams when it is asked for.
type gauges struct{ d *Daemon }

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"stream"}, labels...), nil)
}

type gaugeSet struct {
	backlogBytes, backlogRecords, oldest, logBytes, retrying, writable, disk, partitions *prometheus.Desc
}

func gaugeDescs() gaugeSet {
	return gaugeSet{
		backlogBytes:   gauge("hydrant_backlog_bytes", "Log bytes that wait for delivery."),
		backlogRecords: gauge("hydrant_backlog_records", "Records that wait for delivery, by reader.", "role"),
		oldest:         gauge("hydrant_oldest_undelivered_seconds", "Age of the oldest record that is not delivered (DataFreshness).", "role"),
		logBytes:       gauge("hydrant_log_bytes", "Disk space that the stream's log takes at most."),
		retrying:       gauge("hydrant_delivery_retrying", "1 while the last attempt of a reader failed.", "role"),
		writable:       gauge("hydrant_log_writable", "0 while the log refuses puts because of the disk."),
		partitions:     gauge("hydrant_active_partitions", "Partitions that hold records which are not delivered, error types among them (PartitionCount)."),
		disk:           prometheus.NewDesc("hydrant_disk_free_bytes", "Free space on the disk of the data directory.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	s := gaugeDescs()
	for _, d := range []*prometheus.Desc{s.backlogBytes, s.backlogRecords, s.oldest, s.logBytes, s.retrying, s.writable, s.disk, s.partitions} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	set := gaugeDescs()
	value := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if free, err := g.d.fs.FreeBytes(g.d.cfg.DataDir); err == nil {
		value(set.disk, float64(free))
	}
	for _, s := range g.d.all() {
		st := s.status()
		value(set.backlogBytes, float64(st.BacklogBytes), st.Name)
		value(set.logBytes, float64(st.LogBytes), st.Name)
		value(set.writable, truth(st.Trouble == ""), st.Name)
		for _, r := range st.Readers {
			value(set.backlogRecords, float64(r.BacklogRecords), st.Name, string(r.Role))
			value(set.oldest, r.OldestSeconds, st.Name, string(r.Role))
			if r.Role == record.RoleMain {
				value(set.partitions, float64(r.Delivery.Partitions), st.Name)
			}
			value(set.retrying, truth(r.Delivery.Retrying), st.Name, string(r.Role))
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// age is the time since Unix milliseconds, in seconds; 0 for 0 and for the future.
func age(now time.Time, millis int64) float64 {
	if millis == 0 {
		return 0
	}
	return max(0, now.Sub(time.UnixMilli(millis)).Seconds())
}
