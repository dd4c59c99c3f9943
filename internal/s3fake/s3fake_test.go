package s3fake

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type client struct {
	t    *testing.T
	base string
	c    *http.Client
}

func start(t *testing.T, s *Server) *client {
	t.Helper()
	u, stop := s.Start()
	c := &client{t, u, &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() { c.c.CloseIdleConnections(); stop() })
	return c
}

// do gives the status and body; 0 and the error's text when there was no answer.
func (c *client) do(method, path, body string, headers ...string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

func (c *client) want(status int, code, method, path, body string, headers ...string) {
	c.t.Helper()
	got, answer := c.do(method, path, body, headers...)
	if got != status || code != "" && !strings.Contains(answer, "<Code>"+code+"</Code>") {
		c.t.Errorf("%s %s: %d %s, want %d %s", method, path, got, answer, status, code)
	}
}

func TestObjects(t *testing.T) {
	for name, prepare := range map[string]func(*Server){"memory": func(*Server) {}, "folder": func(s *Server) {
		if err := s.UseDir(t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}} {
		t.Run(name, func(t *testing.T) {
			s := New()
			prepare(s)
			c := start(t, s)
			c.want(404, "NoSuchBucket", "PUT", "/b/k", "x")
			c.want(404, "", "HEAD", "/b", "")
			c.want(200, "", "PUT", "/b", "")
			c.want(409, "BucketAlreadyOwnedByYou", "PUT", "/b", "")
			c.want(404, "NoSuchKey", "GET", "/b/k", "")
			c.want(200, "", "PUT", "/b/k", "first", "If-None-Match", "*", "X-Amz-Meta-A", "1")
			c.want(412, "PreconditionFailed", "PUT", "/b/k", "second", "If-None-Match", "*")
			if got, body := c.do("GET", "/b/k", ""); got != 200 || body != "first" {
				t.Errorf("%d %q", got, body)
			}
			if got, body := c.do("GET", "/b/k", "", "Range", "bytes=1-2"); got != 206 || body != "ir" {
				t.Errorf("range: %d %q", got, body)
			}
			c.want(200, "", "PUT", "/b/k", "second")
			if o, ok := s.Object("b", "k"); !ok || string(o.Body) != "second" || s.Stored("b", "k") != 2 {
				t.Errorf("%+v, stored %d times", o, s.Stored("b", "k"))
			}
			c.want(409, "BucketNotEmpty", "DELETE", "/b", "")
			c.want(204, "", "DELETE", "/b/k", "")
			c.want(204, "", "DELETE", "/b/k", "")
			c.want(204, "", "DELETE", "/b", "")
			c.want(400, "KeyTooLongError", "PUT", "/b/"+strings.Repeat("k", 1025), "x")
			c.want(400, "MetadataTooLarge", "PUT", "/b/k", "x", "X-Amz-Meta-A", strings.Repeat("v", 2048))
			c.want(405, "MethodNotAllowed", "PATCH", "/b/k", "x")
		})
	}
}

func TestDigests(t *testing.T) {
	s := New()
	s.AutoCreate = true
	c := start(t, s)
	for _, d := range []struct{ header, right, code string }{
		{"X-Amz-Checksum-Crc32", "NSRBwg==", "BadDigest"},
		{"X-Amz-Checksum-Crc32c", "Nks/tw==", "BadDigest"},
		{"X-Amz-Checksum-Sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "BadDigest"},
		{"X-Amz-Checksum-Sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", "BadDigest"},
		{"Content-Md5", "kAFQmDzST7DWlj99KOF/cg==", "BadDigest"},
		{"X-Amz-Content-Sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "XAmzContentSHA256Mismatch"},
	} {
		c.want(200, "", "PUT", "/b/"+d.header, "abc", d.header, d.right)
		c.want(400, d.code, "PUT", "/b/wrong", "abd", d.header, d.right)
	}
	if _, ok := s.Object("b", "wrong"); ok {
		t.Error("a damaged body was stored")
	}
}

func TestChunkedBodies(t *testing.T) {
	s := New()
	s.AutoCreate = true
	c := start(t, s)
	put := func(body, length string, more ...string) (int, string) {
		return c.do("PUT", "/b/k", body, append([]string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			"X-Amz-Decoded-Content-Length", length, "Content-Encoding", "aws-chunked,gzip"}, more...)...)
	}
	if got, answer := put("2\r\nab\r\n1;chunk-signature=00\r\nc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n", "3", "X-Amz-Trailer", "x-amz-checksum-crc32"); got != 200 {
		t.Errorf("%d %s", got, answer)
	}
	if o, _ := s.Object("b", "k"); string(o.Body) != "abc" || o.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%q %v", o.Body, o.Header)
	}
	for _, bad := range [][2]string{
		{"3\r\nabd\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n", "3"}, {"3\r\nabc\r\n0\r\n\r\n", "3"}, {"3\r\nabc\r\n0\r\n\r\n", "4"}, {"zz\r\nabc", "3"}, {"9\r\nabc", "9"}, {"3\r\nabcX\r\n0\r\n\r\n", "3"},
	} {
		if got, answer := put(bad[0], bad[1], "X-Amz-Trailer", "x-amz-checksum-crc32"); got != 400 {
			t.Errorf("%q: %d %s", bad[0], got, answer)
		}
	}
}

// A body must read the same however the network cuts it.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("ffffffffffffffff\r\n"))
	f.Add([]byte("-1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func(r io.Reader) (string, bool) {
			r1 := &Request{HTTP: httptest.NewRequest("PUT", "/b/k", r)}
			r1.HTTP.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
			r1.HTTP.Header.Set("X-Amz-Decoded-Content-Length", "3")
			var out bytes.Buffer
			_, err := receive(r1.HTTP, &out)
			return out.String(), err == nil
		}
		whole, ok1 := read(bytes.NewReader(b))
		cut, ok2 := read(iotest.OneByteReader(bytes.NewReader(b)))
		if ok1 != ok2 || ok1 && whole != cut {
			t.Fatalf("%q %v, %q %v", whole, ok1, cut, ok2)
		}
	})
}

func TestListing(t *testing.T) {
	s := New()
	s.AutoCreate = true
	c := start(t, s)
	want := []string{"a/1", "a/2", "a/3", "b", "c d/ü", "d/1"}
	for _, k := range want {
		c.want(200, "", "PUT", "/b/"+url.PathEscape(k), "x")
	}
	page := func(query string) (l listing) {
		t.Helper()
		_, body := c.do("GET", "/b?list-type=2&"+query, "")
		if err := xml.Unmarshal([]byte(body), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	for size := 1; size <= 7; size++ {
		var keys, prefixes []string
		for _, mode := range []string{"", "&delimiter=/"} {
			token := ""
			for range 10 {
				l := page(fmt.Sprintf("max-keys=%d%s&continuation-token=%s", size, mode, url.QueryEscape(token)))
				for _, o := range l.Contents {
					if mode == "" {
						keys = append(keys, o.Key)
					}
				}
				for _, p := range l.CommonPrefixes {
					prefixes = append(prefixes, p.Prefix)
				}
				if token = l.NextContinuationToken; !l.IsTruncated {
					break
				}
			}
		}
		if !slices.Equal(keys, want) || !slices.Equal(prefixes, []string{"a/", "c d/", "d/"}) {
			t.Errorf("pages of %d: %q, %q", size, keys, prefixes)
		}
	}
	if l := page("prefix=a/&start-after=a/1&encoding-type=url"); len(l.Contents) != 2 || l.Contents[0].Key != "a/2" {
		t.Errorf("%+v", l)
	}
}

func TestFaults(t *testing.T) {
	var next Action
	s := New()
	s.AutoCreate, s.SlowDelay = true, time.Millisecond
	s.Fault = func(*Request) Action { return next }
	c := start(t, s)
	for _, f := range []struct {
		a      Action
		status int
		stored int
	}{
		{None, 200, 1}, {SlowDown, 503, 0}, {FailBefore, 500, 0}, {FailAfter, 500, 1}, {CutAfter, 0, 1}, {CutBody, 0, 0}, {Slow, 200, 1}, {AccessDenied, 403, 0},
	} {
		next = f.a
		key := f.a.String()
		if got, _ := c.do("PUT", "/b/"+key, "body", "If-None-Match", "*"); got != f.status {
			t.Errorf("%s: %d, want %d", key, got, f.status)
		}
		if n := s.Stored("b", key); n != f.stored || s.Counts()[f.a] != 1 {
			t.Errorf("%s: stored %d times, counted %d", key, n, s.Counts()[f.a])
		}
	}
}

// Hanging requests end with the client, or with the server.
func TestHang(t *testing.T) {
	for _, a := range []Action{Hang, HangAfter} {
		arrived := make(chan struct{}, 1)
		s := New()
		s.AutoCreate = true
		s.Fault = func(*Request) Action { arrived <- struct{}{}; return a }
		c := start(t, s)
		ctx, cancel := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, "PUT", c.base+"/b/k", strings.NewReader("x"))
		var wg sync.WaitGroup
		wg.Go(func() {
			if resp, err := c.c.Do(r); err == nil {
				resp.Body.Close()
				t.Error("there was an answer")
			}
		})
		<-arrived
		cancel()
		wg.Wait()
		wg.Go(func() {
			if got, _ := c.do("PUT", "/b/k2", "x"); got != 0 {
				t.Errorf("answer %d", got)
			}
		})
		<-arrived
		s.Release()
		wg.Wait()
		if want := map[Action]int{Hang: 0, HangAfter: 1}[a]; s.Stored("b", "k2") != want {
			t.Errorf("%v: stored %d times", a, s.Stored("b", "k2"))
		}
	}
}

func TestFolderSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		s := New()
		s.AutoCreate = true
		if err := s.UseDir(dir); err != nil {
			t.Fatal(err)
		}
		c := start(t, s)
		if n := len(s.Keys("b")); n != i {
			t.Errorf("start %d: %d objects", i, n)
		}
		if i > 0 {
			c.want(412, "PreconditionFailed", "PUT", "/b/k0", "x", "If-None-Match", "*")
			if o, ok := s.Object("b", "k0"); !ok || string(o.Body) != "body" || o.Header.Get("X-Amz-Meta-A") != "1" {
				t.Errorf("%+v", o)
			}
		}
		c.want(200, "", "PUT", fmt.Sprintf("/b/k%d", i), "body", "X-Amz-Meta-A", "1")
	}
}

// The proxy injects the same faults in front of a server that knows nothing of them, and changes no header.
func TestProxy(t *testing.T) {
	real := New()
	real.AutoCreate = true
	var host, auth string
	real.Fault = func(r *Request) Action {
		host, auth = r.HTTP.Host, r.HTTP.Header.Get("Authorization")
		return None
	}
	behind := start(t, real)
	target, _ := url.Parse(behind.base)
	next := None
	p := Proxy(target, func(*Request) Action { return next })
	front := httptest.NewServer(p)
	c := &client{t, front.URL, &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() { c.c.CloseIdleConnections(); p.Close(); front.Close() })
	for _, f := range []struct {
		a              Action
		status, stored int
	}{{None, 200, 1}, {SlowDown, 503, 0}, {FailAfter, 500, 1}, {CutAfter, 0, 1}, {CutBody, 0, 0}} {
		next = f.a
		key := f.a.String()
		if got, _ := c.do("PUT", "/b/a%20b%2Fc+"+key, "body", "Authorization", "signed"); got != f.status {
			t.Errorf("%s: %d", key, got)
		}
		if n := real.Stored("b", "a b/c+"+key); n != f.stored || p.Counts()[f.a] != 1 {
			t.Errorf("%s: stored %d times", key, n)
		}
	}
	if "http://"+host != front.URL || auth != "signed" {
		t.Errorf("host %q, authorization %q", host, auth)
	}
}
