package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"hydrant/config/prefix"
)

// SameOutput says whether both specs write the same bytes under the same keys, so that a change from
// one to the other needs no new version. How the destination is reached, when batches and partitions close, how much
// may wait, the path of a schema file, and tags do not count.
func (s Stream) SameOutput(o Stream) bool {
	s, o = normalized(s), normalized(o)
	if s.Format != o.Format || s.Compression != o.Compression || s.CompressionLevel != o.CompressionLevel {
		return false
	}
	if !sameAsStored(s.Destination.what(), o.Destination.what()) || !s.SameRecords(o) || !sameAsStored(s.Parquet.what(), o.Parquet.what()) {
		return false
	}
	if a, b := s.Backup.writes(), o.Backup.writes(); a != b {
		return false
	}
	return s.Backup.writes() == BackupNone || s.Backup.Compression == o.Backup.Compression && sameObjects(s.Backup.S3, o.Backup.S3)
}

// SameRecords says whether both specs make the same of a record before its format: the same records with the same
// partition values in the same order, or the same failures. SameOutput implies it.
func (s Stream) SameRecords(o Stream) bool {
	return sameAsStored(s.steps(), o.steps())
}

// recordSteps is everything that decides what becomes of a record before its format.
type recordSteps struct {
	Processors []Processor       `json:",omitempty"`
	Defaults   map[string]string `json:",omitempty"`
	EventTime  *EventTime        `json:",omitempty"`
	Keys       []prefix.Key      `json:",omitempty"` // their order is that of the values
	Zone       string            `json:",omitempty"` // of event times
}

func (s Stream) steps() recordSteps {
	w := recordSteps{Processors: slices.Clone(s.Processors)}
	for i, p := range w.Processors {
		if p.Lambda != nil {
			w.Processors[i].Lambda = p.Lambda.who()
		}
	}
	if p := s.Partitioning; p != nil {
		w.Defaults, w.EventTime = p.Defaults, p.EventTime
	}
	d := s.Destination.S3
	if d == nil {
		return w
	}
	if main, err := prefix.Parse(d.Prefix, prefix.Main); err == nil {
		w.Keys = main.Keys()
	}
	if slices.ContainsFunc(w.Keys, func(k prefix.Key) bool { return k.Namespace == prefix.EventTime }) {
		w.Zone = d.TimeZone
		fillText(&w.Zone, "UTC")
	}
	return w
}

// what is the part of the section that decides the bytes of files.
func (p *Parquet) what() *Parquet {
	if p == nil {
		return nil
	}
	c := *p
	c.Schema.File = ""
	return &c
}

// sameAsStored compares what would be stored, so that an absent list is an empty one.
func sameAsStored(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// writes is the mode as far as it decides what is written: without a place of its own, mode failed is no backup.
func (b Backup) writes() string {
	if b.Mode == BackupFailed && b.S3 == nil {
		return BackupNone
	}
	return b.Mode
}

// normalized leaves the original's sections alone.
func normalized(s Stream) Stream {
	d := &s.Destination
	d.S3, d.OpenSearch, d.Redshift = copyOf(d.S3), copyOf(d.OpenSearch), copyOf(d.Redshift)
	d.Splunk, d.HTTP, d.File = copyOf(d.Splunk), copyOf(d.HTTP), copyOf(d.File)
	if d.Redshift != nil {
		d.Redshift.S3 = copyOf(d.Redshift.S3)
	}
	if d.OpenSearch != nil {
		d.OpenSearch.SigV4 = copyOf(d.OpenSearch.SigV4)
	}
	s.Backup.S3 = copyOf(s.Backup.S3)
	if s.Parquet = copyOf(s.Parquet); s.Parquet != nil {
		s.Parquet.Schema.Glue = copyOf(s.Parquet.Schema.Glue)
	}
	s.Normalize()
	return s
}

func copyOf[T any](v *T) *T {
	if v == nil {
		return nil
	}
	c := *v
	return &c
}

func sameObjects(a, b *S3) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.what() == b.what()
}

// what is the part of the destination that decides what is delivered, and under which names; how it is reached is left out.
func (d Destination) what() Destination {
	switch {
	case d.S3 != nil:
		s := d.S3.what()
		return Destination{S3: &s}
	case d.OpenSearch != nil:
		o := d.OpenSearch
		return Destination{OpenSearch: &OpenSearch{Index: o.Index, Rotation: o.Rotation, WeekRule: o.WeekRule, DocumentID: o.DocumentID,
			Timestamp: o.Timestamp, Pipeline: o.Pipeline, TypeName: o.TypeName}}
	case d.Redshift != nil:
		c := d.Redshift
		w := &Redshift{Table: c.Table, Columns: c.Columns, CopyOptions: c.CopyOptions, Ledger: c.Ledger}
		if c.S3 != nil {
			s := c.S3.what()
			w.S3 = &s
		}
		return Destination{Redshift: w}
	case d.Splunk != nil:
		k := d.Splunk
		return Destination{Splunk: &Splunk{Endpoint: k.Endpoint, Host: k.Host, Source: k.Source, SourceType: k.SourceType, Index: k.Index}}
	case d.HTTP != nil:
		h := d.HTTP
		return Destination{HTTP: &HTTP{CommonAttributes: h.CommonAttributes, Plain: h.Plain, Body: h.Body, Labels: h.Labels}}
	case d.File != nil:
		return Destination{File: &File{Path: d.File.Path}}
	}
	return d
}

// what is the part of the section that decides keys and stored bytes.
func (s *S3) what() S3 {
	return S3{Bucket: s.Bucket, Prefix: s.Prefix, ErrorPrefix: s.ErrorPrefix, SSE: s.SSE, KMSKey: s.KMSKey,
		FileExtension: s.FileExtension, TimeZone: s.TimeZone}
}

// CheckDisk says whether the shares that streams are guaranteed fit a disk of totalBytes, beside min_free.
// The error is a *FieldError.
func CheckDisk(c *Config, totalBytes int64) error {
	left := Bytes(totalBytes) - c.MinFree
	if left < 0 {
		return &FieldError{"min_free", fmt.Sprintf("%s is more than the whole disk of the data directory, %s; lower it or use a larger disk", c.MinFree, Bytes(totalBytes).About())}
	}
	for i := range c.Streams {
		share := c.Streams[i].Buffer.Guaranteed
		if share > left {
			return &FieldError{fmt.Sprintf("streams[%d].buffer.guaranteed", i),
				fmt.Sprintf("the guaranteed shares of all streams are above the disk's %s less min_free %s; lower them or use a larger disk", Bytes(totalBytes).About(), c.MinFree)}
		}
		left -= share
	}
	return nil
}
