package config

import (
	"maps"
	"slices"
	"time"
)

func (s *section) destination(st *Stream) {
	kinds := []string{"s3", "opensearch", "redshift", "splunk", "http", "file"}
	d := s.section("destination", kinds...)
	if d == nil {
		return
	}
	d.exactlyOne(kinds, "s3: {bucket: NAME}")
	to := &st.Destination
	to.S3 = d.s3()
	to.OpenSearch = d.openSearch()
	to.Redshift = d.redshift()
	to.Splunk = d.splunk()
	to.HTTP = d.http()
	to.File = d.file()
	if to.Redshift != nil {
		to.Redshift.fill(st.Compression)
	}
}

// has says whether the key stands there; one that is empty is a section all the same, whose checks say what is missing.
func (s *section) has(key string) bool {
	_, ok := s.keys[key]
	return ok
}

func (s *section) openSearch() *OpenSearch {
	if !s.has("opensearch") {
		return nil
	}
	o := &OpenSearch{}
	o.fill()
	sec := s.section("opensearch", "url", "index", "rotation", "week_rule", "document_id", "timestamp", "pipeline", "type_name",
		"username", "password", "sigv4", "tls", "content_encoding", "request", "timeout")
	if sec == nil {
		return o
	}
	sec.oneOrMore("url", &o.URLs)
	sec.textsOf(map[string]*string{"index": &o.Index, "rotation": &o.Rotation, "week_rule": &o.WeekRule, "document_id": &o.DocumentID,
		"timestamp": &o.Timestamp, "pipeline": &o.Pipeline, "type_name": &o.TypeName, "username": &o.Username, "content_encoding": &o.Encoding})
	sec.secret("password", &o.Password)
	if sec.has("sigv4") {
		o.SigV4 = &SigV4{Service: "es"}
		if v := sec.section("sigv4", "service", "region"); v != nil {
			v.textsOf(map[string]*string{"service": &o.SigV4.Service, "region": &o.SigV4.Region})
		}
		if o.SigV4.Service == "aoss" && !sec.has("rotation") {
			o.Rotation = RotationNone
		}
	}
	sec.reach(&o.TLS, &o.Request, &o.Timeout)
	return o
}

func (s *section) splunk() *Splunk {
	if !s.has("splunk") {
		return nil
	}
	k := &Splunk{AckTimeout: Duration(180 * time.Second)}
	k.fill()
	sec := s.section("splunk", "url", "token", "endpoint", "ack_timeout", "host", "source", "sourcetype", "index", "tls", "content_encoding",
		"request", "timeout")
	if sec == nil {
		return k
	}
	sec.textsOf(map[string]*string{"url": &k.URL, "endpoint": &k.Endpoint, "host": &k.Host, "source": &k.Source, "sourcetype": &k.SourceType,
		"index": &k.Index, "content_encoding": &k.Encoding})
	sec.headerSecret("token", &k.Token, 0)
	sec.duration("ack_timeout", &k.AckTimeout)
	sec.reach(&k.TLS, &k.Request, &k.Timeout)
	return k
}

func (s *section) http() *HTTP {
	if !s.has("http") {
		return nil
	}
	h := &HTTP{}
	h.fill()
	sec := s.section("http", "url", "access_key", "common_attributes", "content_encoding", "plain", "body", "labels", "headers", "tls", "request", "timeout")
	if sec == nil {
		return h
	}
	sec.textsOf(map[string]*string{"url": &h.URL, "content_encoding": &h.Encoding, "body": &h.Body})
	sec.headerSecret("access_key", &h.AccessKey, maxAccessKeyBytes)
	sec.flag("plain", &h.Plain)
	if h.Plain {
		fillText(&h.Body, BodyNDJSON)
	}
	h.CommonAttributes = sec.textMap("common_attributes")
	h.Labels = sec.textMap("labels")
	if m := sec.freeSection("headers"); m != nil {
		h.Headers = map[string]Secret{}
		for _, name := range m.order {
			var v Secret
			m.headerSecret(name, &v, 0)
			h.Headers[name] = v
		}
	}
	sec.reach(&h.TLS, &h.Request, &h.Timeout)
	return h
}

func (s *section) redshift() *Redshift {
	if !s.has("redshift") {
		return nil
	}
	c := &Redshift{}
	sec := s.section("redshift", "data_api", "postgres", "table", "columns", "copy_options", "credentials", "ledger", "s3", "timeout")
	if sec == nil {
		return c
	}
	sec.textsOf(map[string]*string{"table": &c.Table, "copy_options": &c.CopyOptions, "ledger": &c.Ledger})
	sec.texts("columns", &c.Columns)
	sec.copyCredentials(c)
	fillDuration(&c.Timeout, 15*60)
	sec.duration("timeout", &c.Timeout)
	if a := sec.section("data_api", "cluster", "workgroup", "database", "db_user", "secret_arn", "region", "endpoint"); a != nil {
		c.DataAPI = &DataAPI{}
		d := c.DataAPI
		a.textsOf(map[string]*string{"cluster": &d.Cluster, "workgroup": &d.Workgroup, "database": &d.Database, "db_user": &d.DBUser,
			"secret_arn": &d.SecretARN, "region": &d.Region, "endpoint": &d.Endpoint})
	}
	if p := sec.section("postgres", "url", "username", "password", "plain"); p != nil {
		c.Postgres = &Postgres{}
		p.database(c.Postgres)
	}
	c.S3 = sec.s3()
	return c
}

func (s *section) file() *File {
	if !s.has("file") {
		return nil
	}
	f := &File{}
	sec := s.section("file", "path", "rotate")
	if sec == nil {
		return f
	}
	sec.text("path", &f.Path)
	if r := sec.section("rotate", "size", "keep"); r != nil {
		r.bytes("size", &f.Rotate.Size)
		r.integer("keep", &f.Rotate.Keep)
	}
	return f
}

// reach reads what destinations that take requests have in common.
func (s *section) reach(tls *TLS, request *Request, timeout *Duration) {
	s.duration("timeout", timeout)
	s.tls(tls)
	if q := s.section("request", "size", "records", "concurrent"); q != nil {
		q.bytes("size", &request.Size)
		q.integer("records", &request.Records)
		q.integer("concurrent", &request.Concurrent)
	}
}

// textsOf reads several texts.
func (s *section) textsOf(to map[string]*string) {
	for _, key := range slices.Sorted(maps.Keys(to)) {
		s.text(key, to[key])
	}
}

// oneOrMore reads a text or a list of texts.
func (s *section) oneOrMore(key string, to *[]string) {
	if !s.isScalar(key) {
		s.texts(key, to)
		return
	}
	var one string
	if s.text(key, &one); one != "" {
		*to = []string{one}
	}
}

// freeSection reads a section whose keys are the user's; nil: there is none.
func (s *section) freeSection(key string) *section {
	n, ok := s.values[key]
	if !ok {
		return nil
	}
	return s.r.free(n, s.sub(key))
}

// textMap reads a section of texts.
func (s *section) textMap(key string) map[string]string {
	m := s.freeSection(key)
	if m == nil {
		return nil
	}
	out := map[string]string{}
	for _, k := range m.order {
		if _, v, ok := m.scalar(k); ok {
			out[k] = v
		}
	}
	return out
}
