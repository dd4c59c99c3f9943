package s3fake

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type listedObject struct {
	Key, LastModified, ETag string
	Size                    int64
	StorageClass            string
}

type prefix struct{ Prefix string }

type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name, Prefix          string
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	MaxKeys, KeyCount     int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	Contents              []listedObject
	CommonPrefixes        []prefix
}

func (s *Server) list(w http.ResponseWriter, r *Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Op == "ListBuckets" {
		return s.listBuckets(w)
	}
	if s.buckets[r.Bucket] == nil {
		return errNoBucket
	}
	switch r.Op {
	case "GetBucketLocation":
		return writeXML(w, struct {
			XMLName xml.Name `xml:"LocationConstraint"`
		}{})
	case "ListMultipartUploads":
		return s.listUploads(w, r.Bucket)
	}
	return s.listObjects(w, r)
}

func (s *Server) listObjects(w http.ResponseWriter, r *Request) error {
	q := r.HTTP.URL.Query()
	out := listing{Name: r.Bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type"),
		MaxKeys: 1000, ContinuationToken: q.Get("continuation-token"), StartAfter: q.Get("start-after")}
	if n, err := strconv.Atoi(q.Get("max-keys")); err == nil {
		if n < 0 {
			return &apiError{http.StatusBadRequest, "InvalidArgument"}
		}
		out.MaxKeys = min(n, 1000)
	}
	from := out.StartAfter
	if out.ContinuationToken != "" { // a token is the last key or prefix of the page before
		from = out.ContinuationToken
	}
	out.page(s.keys(r.Bucket), s.buckets[r.Bucket], from)
	if out.EncodingType == "url" {
		out.encode()
	}
	return writeXML(w, out)
}

// page fills one page with what sorts after from.
func (l *listing) page(keys []string, objects map[string]*object, from string) {
	start, found := slices.BinarySearch(keys, from)
	if found {
		start++
	}
	common := ""
	if l.Delimiter != "" && strings.HasSuffix(from, l.Delimiter) {
		common = from // its keys were on the page before
	}
	last := ""
	for _, k := range keys[start:] {
		if !strings.HasPrefix(k, l.Prefix) || common != "" && strings.HasPrefix(k, common) {
			continue
		}
		if l.KeyCount == l.MaxKeys {
			l.IsTruncated, l.NextContinuationToken = l.MaxKeys > 0, last
			return
		}
		l.KeyCount++
		if i := strings.Index(k[len(l.Prefix):], l.Delimiter); l.Delimiter != "" && i >= 0 {
			common = k[:len(l.Prefix)+i+len(l.Delimiter)]
			l.CommonPrefixes, last = append(l.CommonPrefixes, prefix{common}), common
			continue
		}
		o := objects[k]
		l.Contents, last = append(l.Contents, listedObject{k, stamp(o.Modified), `"` + o.ETag + `"`, o.Size, "STANDARD"}), k
	}
}

func (l *listing) encode() {
	enc := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
	l.Prefix, l.Delimiter, l.StartAfter = enc(l.Prefix), enc(l.Delimiter), enc(l.StartAfter)
	for i := range l.Contents {
		l.Contents[i].Key = enc(l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		l.CommonPrefixes[i].Prefix = enc(l.CommonPrefixes[i].Prefix)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (s *Server) listBuckets(w http.ResponseWriter) error {
	type bucket struct{ Name, CreationDate string }
	var names []bucket
	for n := range s.buckets {
		names = append(names, bucket{n, stamp(time.Unix(0, 0))})
	}
	slices.SortFunc(names, func(a, b bucket) int { return strings.Compare(a.Name, b.Name) })
	return writeXML(w, struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		Buckets []bucket `xml:"Buckets>Bucket"`
	}{Buckets: names})
}

func (s *Server) listUploads(w http.ResponseWriter, bucket string) error {
	type entry struct{ Key, UploadId string }
	var open []entry
	for id, u := range s.uploads {
		if u.bucket == bucket {
			open = append(open, entry{u.key, id})
		}
	}
	slices.SortFunc(open, func(a, b entry) int { return strings.Compare(a.Key+a.UploadId, b.Key+b.UploadId) })
	return writeXML(w, struct {
		XMLName xml.Name `xml:"ListMultipartUploadsResult"`
		Bucket  string
		Upload  []entry
	}{Bucket: bucket, Upload: open})
}
