package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestBench(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	endpoint, stop := startDaemon(t, dir)
	sent := 0
	for name, extra := range map[string][]string{
		"ndjson":       {"--mode", "ndjson", "--batch", "100", "--records", "1000"},
		"ndjson, gzip": {"--mode", "ndjson", "--batch", "100", "--records", "1000", "--gzip"},
		"batch":        {"--batch", "500", "--records", "1000"},
		"batch signed": {"--batch", "500", "--records", "1000", "--sign", "--gzip"},
		"put":          {"--mode", "put", "--records", "1000"},
	} {
		r := cli(t, "", append([]string{"bench", "--stream", "load", "--create", "--endpoint", endpoint, "--connections", "4", "--json"}, extra...)...)
		r.want(t, 0)
		var got report
		if err := json.Unmarshal([]byte(r.out), &got); err != nil {
			t.Fatal(err)
		}
		if got.Records != 1000 || got.RecordRate <= 0 || got.MBRate <= 0 || got.AckMillis.P50 <= 0 || got.AckMillis.Max < got.AckMillis.P99 {
			t.Errorf("%s: %+v", name, got)
		}
		sent += 1000
		t.Logf("%s: %.2f s, ack p50 %.1f ms, p99 %.1f ms", name, got.Seconds, got.AckMillis.P50, got.AckMillis.P99)
	}
	cli(t, "", "bench", "--stream", "load", "--endpoint", endpoint, "--mode", "put", "--duration", "50ms").want(t, 0, "accepted  ", "ack       p50 ", "errors    none")
	cli(t, "", "bench", "--stream", "nope", "--endpoint", endpoint, "--records", "500").want(t, 1, "nope", "--create makes it")
	r := cli(t, "", "describe", "load", "--endpoint", endpoint)
	r.want(t, 0, `"BucketARN": "arn:aws:s3:::bench"`)
	stop()
	if r := cli(t, "", "log", "verify", dir); strings.Contains(r.out, "damage:") {
		t.Errorf("after %d records: %s", sent, r.out)
	}
}

func TestBenchCountsRefusals(t *testing.T) {
	t.Parallel()
	full := refuse(503, "ServiceUnavailableException")
	endpoint, _ := fakeAPI(t, full, full)
	args := []string{"bench", "--stream", "s", "--endpoint", endpoint, "--connections", "1", "--batch", "10", "--records"}
	cli(t, "", append(args, "30")...).want(t, 0, "accepted  10 records", "errors    503: 2")
	endpoint, _ = fakeAPI(t, full, refuse(500, "InternalFailure"))
	args[4] = endpoint
	cli(t, "", append(args, "30")...).want(t, 1, "errors    500: 1, 503: 1", "1 request failed (500)")
	endpoint, _ = fakeAPI(t, full)
	args[4] = endpoint
	cli(t, "", append(args, "10")...).want(t, 1, "no record was accepted")
}
