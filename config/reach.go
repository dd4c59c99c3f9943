package config

// ReachedBy is the destination with what it delivers, reached as the newest configuration says: address, credentials, time-outs. When
// that one is of another kind, it is reached as it says itself.
func (d Destination) ReachedBy(newest Destination) Destination {
	switch {
	case d.OpenSearch != nil && newest.OpenSearch != nil:
		o := *newest.OpenSearch
		w := d.OpenSearch
		o.Index, o.Rotation, o.WeekRule, o.DocumentID = w.Index, w.Rotation, w.WeekRule, w.DocumentID
		o.Timestamp, o.Pipeline, o.TypeName = w.Timestamp, w.Pipeline, w.TypeName
		return Destination{OpenSearch: &o}
	case d.Splunk != nil && newest.Splunk != nil:
		s := *newest.Splunk
		w := d.Splunk
		s.Endpoint, s.Host, s.Source, s.SourceType, s.Index = w.Endpoint, w.Host, w.Source, w.SourceType, w.Index
		return Destination{Splunk: &s}
	case d.HTTP != nil && newest.HTTP != nil:
		h := *newest.HTTP
		w := d.HTTP
		h.CommonAttributes, h.Plain, h.Body, h.Labels = w.CommonAttributes, w.Plain, w.Body, w.Labels
		return Destination{HTTP: &h}
	case d.Redshift != nil && newest.Redshift != nil:
		c := *newest.Redshift
		w := d.Redshift
		c.Table, c.Columns, c.CopyOptions, c.Ledger = w.Table, w.Columns, w.CopyOptions, w.Ledger
		return Destination{Redshift: &c}
	}
	return d
}

// ObjectsS3 is where the destination's objects lie in S3; nil when they do not.
func (d Destination) ObjectsS3() *S3 {
	if d.Redshift != nil {
		return d.Redshift.S3
	}
	return d.S3
}
