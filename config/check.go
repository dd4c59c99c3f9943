package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FieldError is one thing wrong with one field. Path is as in the YAML, "buffer.size".
type FieldError struct {
	Path    string
	Message string
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Message }

// report collects the errors of one check.
type report struct{ errs []error }

func (r *report) add(path, format string, args ...any) {
	r.errs = append(r.errs, &FieldError{path, fmt.Sprintf(format, args...)})
}

// under adds errors of a part whose paths begin at path.
func (r *report) under(path string, errs []error) {
	for _, err := range errs {
		var f *FieldError
		if errors.As(err, &f) {
			err = &FieldError{path + "." + f.Path, f.Message}
		}
		r.errs = append(r.errs, err)
	}
}

func (r *report) oneOf(path, value string, legal ...string) {
	for _, l := range legal {
		if value == l {
			return
		}
	}
	r.add(path, "%q is not one of %s%s", clip(value), strings.Join(legal, ", "), didYouMean(value, legal))
}

func checkRange[T interface {
	~int64
	fmt.Stringer
}](r *report, path string, v, low, high T, advice string) {
	switch {
	case v < low:
		r.add(path, "%s is below the limit %s; use %s", v, low, advice)
	case v > high:
		r.add(path, "%s is above the limit %s; use %s", v, high, advice)
	}
}

// Check gives everything that is wrong, streams included, as *FieldErrors. Call it again after
// a flag has changed a field. It opens no port, no folder and no connection.
func (c *Config) Check() []error {
	r := &report{}
	c.checkAddresses(r)
	c.checkAuth(r)
	if c.DataDir == "" {
		r.add("data_dir", "is empty; name a folder, such as %s", defaultDataDir)
	}
	if !regionName.MatchString(c.AWS.Region) {
		r.add("aws.region", "%q is no region; write one such as us-east-1", clip(c.AWS.Region))
	}
	if !accountID.MatchString(c.AWS.AccountID) {
		r.add("aws.account_id", "%q is no account id; write 12 digits in quotes", clip(c.AWS.AccountID))
	}
	r.oneOf("object_store", c.ObjectStore, StoreFile, StoreS3)
	r.oneOf("shutdown", c.Shutdown, ShutdownDeliver, ShutdownKeep)
	r.oneOf("log.format", c.Log.Format, "text", "json")
	r.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	checkRange(r, "shutdown_timeout", c.ShutdownTimeout, 0, maxShutdown, "0s to 1h")
	checkRange(r, "min_free", c.MinFree, 0, maxSpace, "0 to "+maxSpace.String())
	c.checkStreams(r)
	return r.errs
}

func (c *Config) checkStreams(r *report) {
	seen := map[string]int{}
	for i := range c.Streams {
		s := &c.Streams[i]
		path := fmt.Sprintf("streams[%d]", i)
		r.under(path, s.Check())
		if c.ObjectStore == StoreFile {
			r.under(path, s.checkLocal())
		}
		if first, taken := seen[s.Name]; taken && s.Name != "" {
			r.add(path+".name", "%q is already the name of streams[%d]; every stream needs its own", clip(s.Name), first)
		} else {
			seen[s.Name] = i
		}
	}
	c.checkFiles(r)
}

// checkLocal refuses what only an S3 service can do: buckets are folders here.
func (s *Stream) checkLocal() []error {
	r := &report{}
	objects := s.Destination.S3
	if c := s.Destination.Redshift; c != nil {
		objects = c.S3
		c.checkLocal(r, "destination.redshift")
	}
	for i, d := range []*S3{objects, s.Backup.S3} {
		if d == nil {
			continue
		}
		path := []string{"destination." + s.Destination.Kind(), "backup.s3"}[i]
		if s.Destination.Redshift != nil && i == 0 {
			path += ".s3"
		}
		for _, f := range []struct {
			key string
			set bool
		}{
			{"endpoint", d.Endpoint != ""},
			{"sse", d.SSE != "" && d.SSE != SSENone},
			{"storage_class", d.StorageClass != ""},
			{"acl", d.ACL != ""},
		} {
			if f.set {
				r.add(path+"."+f.key, "has no effect while buckets are local folders; write object_store: s3 at the top level, or remove it")
			}
		}
	}
	return r.errs
}

func (c *Config) checkAddresses(r *report) {
	listen, okListen := c.checkAddress(r, "listen", c.Listen)
	admin, okAdmin := c.checkAddress(r, "admin", c.Admin)
	if okListen && okAdmin && listen.collides(admin) {
		r.add("admin", "%s takes the port of listen (%s); give it another port", c.Admin, c.Listen)
	}
}

// address is a parsed listen address.
type address struct {
	host string
	port int
}

func (a address) all() bool {
	ip := net.ParseIP(a.host)
	return a.host == "" || ip != nil && ip.IsUnspecified()
}

// loopback says whether only this machine can connect.
func (a address) loopback() bool {
	ip := net.ParseIP(a.host)
	return strings.EqualFold(a.host, "localhost") || ip != nil && ip.IsLoopback()
}

func (a address) collides(b address) bool {
	if a.port == 0 || a.port != b.port {
		return false
	}
	return a.all() || b.all() || strings.EqualFold(a.host, b.host) || a.loopback() && b.loopback() && (a.host == "localhost" || b.host == "localhost")
}

func (c *Config) checkAddress(r *report, path, text string) (address, bool) {
	host, port, err := net.SplitHostPort(text)
	n, convErr := strconv.Atoi(port)
	if err != nil || convErr != nil || n < 0 || n > 65535 {
		r.add(path, "%q is no address; write host:port, such as 127.0.0.1:4573", clip(text))
		return address{}, false
	}
	a := address{host, n}
	if !a.loopback() && !c.NoAuth && c.Auth == nil {
		r.add(path, "%s can be reached from other machines without authentication; write auth with tokens, or auth: none at the top level to allow that, or listen on 127.0.0.1", text)
	}
	return a, true
}

var (
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	accountID  = regexp.MustCompile(`^[0-9]{12}$`)
	streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
)

func checkTags(tags map[string]string) []error {
	r := &report{}
	if len(tags) > maxTags {
		r.add("tags", "%d tags are above the limit %d; remove some", len(tags), maxTags)
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		v := tags[k]
		switch {
		case k == "" || utf8.RuneCountInString(k) > 128:
			r.add("tags", "the key %q must have 1 to 128 characters", clip(k))
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			r.add("tags."+k, "keys that begin with aws: are reserved; choose another")
		case utf8.RuneCountInString(v) > 256:
			r.add("tags."+k, "the value has %d characters; use at most 256", utf8.RuneCountInString(v))
		}
	}
	return r.errs
}
