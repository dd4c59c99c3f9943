package config

import (
	"regexp"
	"strings"
	"time"
)

func (o *OpenSearch) check(r *report, path string) {
	if len(o.URLs) == 0 {
		r.add(path+".url", "is missing; write one such as https://search.example.com:9200")
	}
	for _, u := range o.URLs {
		checkURL(r, path+".url", u)
	}
	if !indexName.MatchString(o.Index) || strings.Trim(o.Index, ".") == "" {
		r.add(path+".index", "%q is no index name; use 1 to 80 lower-case letters, digits, . - and _, none of - _ + first", clip(o.Index))
	}
	r.oneOf(path+".rotation", o.Rotation, RotationNone, RotationHour, RotationDay, RotationWeek, RotationMonth)
	r.oneOf(path+".week_rule", o.WeekRule, "us", "iso")
	r.oneOf(path+".document_id", o.DocumentID, DocumentIDStable, DocumentIDNone)
	checkEncoding(r, path, o.Encoding)
	checkRange(r, path+".timeout", o.Timeout, Duration(time.Second), maxTimeout, "1s to 15m")
	o.Request.check(r, path)
	o.TLS.check(r, path, o.URLs...)
	o.checkUser(r, path)
	o.checkSigning(r, path)
}

func (o *OpenSearch) checkUser(r *report, path string) {
	switch {
	case o.SigV4 != nil && (o.Username != "" || o.Password != ""):
		r.add(path+".sigv4", "stands beside username and password; keep one of them")
	case (o.Username == "") != (o.Password == ""):
		r.add(path+".username", "and password go together; write both, or neither")
	case strings.Contains(o.Username, ":"):
		r.add(path+".username", "%q has a colon, which HTTP takes for the end of the name; choose another", clip(o.Username))
	}
}

func (o *OpenSearch) checkSigning(r *report, path string) {
	if o.SigV4 == nil {
		return
	}
	r.oneOf(path+".sigv4.service", o.SigV4.Service, "es", "aoss")
	checkRegion(r, path+".sigv4.region", o.SigV4.Region)
	if o.SigV4.Service != "aoss" {
		return
	}
	if o.Rotation != RotationNone {
		r.add(path+".rotation", "must be none for OpenSearch Serverless (aoss)")
	}
	if o.TypeName != "" {
		r.add(path+".type_name", "is for Elasticsearch up to 6, not for OpenSearch Serverless (aoss); remove it")
	}
}

var indexName = regexp.MustCompile(`^[a-z0-9.][a-z0-9._-]{0,79}$`)
