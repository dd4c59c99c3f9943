package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// behind starts a proxy before a server that counts what it stored.
func behind(t *testing.T) (p *proxy, stored *atomic.Int64) {
	t.Helper()
	stored = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil && r.Method == http.MethodPut && string(b) == "body" {
			stored.Add(1)
		}
		w.Header().Set("X-Host", r.Host)
	}))
	t.Cleanup(s.Close)
	p, err := startProxy(strings.TrimPrefix(s.URL, "http://"), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p, stored
}

func put(p *proxy) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPut, "http://"+p.addr+"/b/k", strings.NewReader("body"))
	if err != nil {
		return nil, err
	}
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return c.Do(req)
}

func TestHealthyProxyPassesHostAndBody(t *testing.T) {
	p, stored := behind(t)
	p.heal(true)
	for range 50 {
		resp, err := put(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("X-Host"); got != p.addr {
			t.Errorf("Host became %q, which breaks the signature", got)
		}
		_ = resp.Body.Close()
	}
	if stored.Load() != 50 || p.String() != "" {
		t.Errorf("stored %d, faults %q", stored.Load(), p)
	}
}

func TestOutageStoresNothing(t *testing.T) {
	p, stored := behind(t)
	p.breakFor(time.Minute)
	for range 20 {
		if resp, err := put(p); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 500 {
				t.Errorf("status %d during an outage", resp.StatusCode)
			}
		}
	}
	if stored.Load() != 0 {
		t.Errorf("%d stored during an outage", stored.Load())
	}
}

// spoil runs one request through a single fault.
func spoil(p *proxy, f fault) (code int, aborted bool) {
	rec := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			code, aborted = 0, true
		}
	}()
	p.after(rec, httptest.NewRequest(http.MethodPut, "http://"+p.addr+"/b/k", bytes.NewReader([]byte("body"))), f)
	return rec.Code, false
}

func TestFaultsAfterStoreStoreFirst(t *testing.T) {
	p, stored := behind(t)
	if code, _ := spoil(p, storedError); code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", code)
	}
	if _, aborted := spoil(p, storedCut); !aborted {
		t.Error("the connection was not cut")
	}
	if stored.Load() != 2 || p.counted(storedError) != 1 || p.counted(storedCut) != 1 {
		t.Errorf("stored %d, counted %v", stored.Load(), p)
	}
}

func TestEveryFaultComes(t *testing.T) {
	p, _ := behind(t)
	seen := map[fault]bool{}
	for range 5000 {
		seen[p.pick(http.MethodPut)] = true
	}
	for _, w := range weights() {
		if !seen[w.f] {
			t.Errorf("%q never comes", w.f)
		}
	}
	for range 5000 {
		if f := p.pick(http.MethodHead); strings.Contains(string(f), "after store") {
			t.Fatalf("%q for a request that stores nothing", f)
		}
	}
}

// TestAnObjectThatIsWrittenOverIsCounted: the same object again is a repeat, another one under its key is not.
func TestAnObjectThatIsWrittenOverIsCounted(t *testing.T) {
	p, _ := behind(t)
	p.heal(true)
	for _, c := range []struct {
		identity string
		over     int
	}{{"a", 0}, {"a", 0}, {"b", 1}, {"b", 1}} {
		req, err := http.NewRequest(http.MethodPut, "http://"+p.addr+"/b/k", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("x-amz-meta-hydrant-batch", c.identity)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if p.rewrites() != c.over {
			t.Errorf("%s: %d", c.identity, p.rewrites())
		}
	}
}
