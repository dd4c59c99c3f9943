package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestQuickstartOnceAndAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // the second run finds the folder that the first one left
		cli(t, "", "quickstart", "--once", "--data-dir", dir).want(t, 0,
			"Verified: 200 events sent, every one of them delivered exactly once", `{"time":"`, "200 events)",
			"boto3", "aws firehose put-record", `{"Data":"eyJoZWxsbyI6ICJhd3MifQ=="}`, "curl", filepath.Join(dir, "s3", "lake", "demo"))
	}
	if n := strings.Count(objects(t, dir), "\n"); n < 400 {
		t.Errorf("%d events are stored after two runs", n)
	}
}

func TestQuickstartUntilInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &buffer{seen: func(s string) {
		if strings.Contains(s, "until Ctrl-C") {
			cancel()
		}
	}}
	errs := &buffer{}
	code := execute(ctx, streamsIO{strings.NewReader(""), out, errs}, []string{"quickstart", "--data-dir", dir})
	r := result{code, out.String(), errs.String()}
	r.want(t, 0, "Verified: ", "Send your own, while this runs")
	addr := regexp.MustCompile(`records on (http://\S+),`).FindStringSubmatch(r.out)
	if addr == nil || strings.Count(r.out, addr[1]) != 4 { // at the start, and for each of three ways
		t.Errorf("the lines to copy do not name the port:\n%s", r.out)
	}
}

func TestQuickstartBesideAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startDaemon(t, dir)
	cli(t, "", "quickstart", "--once", "--data-dir", dir).want(t, 1, "is in use: held by pid", "choose another folder with --data-dir")
}

func TestQuickstartCannotDeliver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "s3"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "s3", demoBucket), nil, 0o600); err != nil { // where the bucket's folder has to be
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &buffer{seen: func(s string) {
		if strings.Contains(s, "Sent 200 events") {
			cancel() // nobody waits for what cannot come
		}
	}}
	q := &quickstart{once: true, dataDir: dir, out: out, logger: slog.New(slog.DiscardHandler), stopWithin: time.Millisecond}
	if err := q.run(ctx); err == nil || !strings.Contains(err.Error(), "of 200 events sent, 200 are missing") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if !taken(l.Addr().String()) {
		t.Error("a port that is taken counts as free")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if taken("127.0.0.1:0") {
		t.Error("a free port counts as taken")
	}
}
