package config

import "time"

// fill gives the destination its defaults.
func (d *Destination) fill(compression string) {
	switch {
	case d.S3 != nil:
		d.S3.fill()
	case d.OpenSearch != nil:
		d.OpenSearch.fill()
	case d.Redshift != nil:
		d.Redshift.fill(compression)
	case d.Splunk != nil:
		d.Splunk.fill()
	case d.HTTP != nil:
		d.HTTP.fill()
	}
}

func (o *OpenSearch) fill() {
	fillText(&o.Encoding, EncodingNone)
	o.Request.fill(2*MB, 5000, 2)
	fillDuration(&o.Timeout, 60)
	fillText(&o.Rotation, RotationDay)
	fillText(&o.WeekRule, "us")
	fillText(&o.DocumentID, DocumentIDStable)
	if o.SigV4 != nil {
		fillText(&o.SigV4.Service, "es")
	}
}

func (s *Splunk) fill() {
	fillText(&s.Encoding, EncodingNone)
	fillText(&s.Endpoint, SplunkRaw)
	s.Request.fill(1*MB, 10_000, 1)
	fillDuration(&s.Timeout, 60)
}

func (h *HTTP) fill() {
	fillText(&h.Encoding, EncodingNone)
	h.Request.fill(4*MB, 10_000, 1)
	fillDuration(&h.Timeout, 180)
	if h.Plain {
		fillText(&h.Body, BodyNDJSON)
	}
}

func (c *Redshift) fill(compression string) {
	fillDuration(&c.Timeout, 15*60)
	fillText(&c.Ledger, defaultLedger)
	if c.S3 != nil {
		c.S3.fill()
	}
	if c.Postgres != nil && c.Postgres.Plain {
		return
	}
	if c.CopyOptions == "" {
		c.CopyOptions = "JSON 'auto'" + map[string]string{CompressionGzip: " GZIP", CompressionZstd: " ZSTD"}[compression]
	}
	if c.Credentials == "" {
		c.Credentials = "IAM_ROLE default"
	}
}

func (q *Request) fill(size Bytes, records, concurrent int) {
	if q.Size == 0 {
		q.Size = size
	}
	if q.Records == 0 {
		q.Records = records
	}
	if q.Concurrent == 0 {
		q.Concurrent = concurrent
	}
}

func fillDuration(d *Duration, seconds int) {
	if *d == 0 {
		*d = Duration(time.Duration(seconds) * time.Second)
	}
}
