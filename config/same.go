package config

import "fmt"

// SameOutput says whether both specs write the same bytes under the same keys, so that a change from
// one to the other needs no new version. How the destination is reached, when batches close, how much
// may wait, and tags do not count.
func (s Stream) SameOutput(o Stream) bool {
	s, o = normalized(s), normalized(o)
	if s.Format != o.Format || s.Compression != o.Compression || s.CompressionLevel != o.CompressionLevel {
		return false
	}
	if !sameObjects(s.Destination.S3, o.Destination.S3) {
		return false
	}
	if a, b := s.Backup.writes(), o.Backup.writes(); a != b {
		return false
	}
	return s.Backup.writes() == BackupNone || s.Backup.Compression == o.Backup.Compression && sameObjects(s.Backup.S3, o.Backup.S3)
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
	s.Destination.S3 = copyOf(s.Destination.S3)
	s.Backup.S3 = copyOf(s.Backup.S3)
	s.Normalize()
	return s
}

func copyOf(s *S3) *S3 {
	if s == nil {
		return nil
	}
	c := *s
	return &c
}

func sameObjects(a, b *S3) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.what() == b.what()
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
