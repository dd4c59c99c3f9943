package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hydrant/internal/redshiftfake"
)

func TestControl(t *testing.T) {
	e := &redshiftfake.Engine{Backend: redshiftfake.NewMemory()}
	api := redshiftfake.NewDataAPI(e)
	defer api.Close()
	h := control(e, api)
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"POST", "/fail?fault=disk-full&n=2", 200, ""},
		{"POST", "/fail?fault=disk-full", 200, ""},
		{"POST", "/fail?fault=disk-full&n=x", 400, "at least 1"},
		{"POST", "/fail?fault=nothing", 400, "hang-in-copy"},
		{"POST", "/release", 200, ""},
		{"GET", "/stats", 200, `{"armed":{"disk-full":3},"commits":0,"copies":0,"statements":0,"submits":0}`},
		{"GET", "/fail", 405, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

func TestStore(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "k")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	denied := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case denied:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<Error><Code>AccessDenied</Code></Error>"))
		case r.URL.Path != "/b/k":
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte("<Error><Code>NoSuchKey</Code></Error>"))
		default:
			_, _ = w.Write([]byte("body"))
		}
	}))
	defer server.Close()
	s, err := newStore(context.Background(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Get(context.Background(), "b", "k"); string(b) != "body" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if _, err := s.Get(context.Background(), "b", "none"); !errors.Is(err, redshiftfake.ErrNoObject) {
		t.Errorf("%v", err)
	}
	denied = true
	if _, err := s.Get(context.Background(), "b", "k"); !errors.Is(err, redshiftfake.ErrForbidden) {
		t.Errorf("%v", err)
	}
}
