package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inTLS is a file whose only stream trusts a file.
func inTLS(t *testing.T, caFile string) (*Config, error) {
	t.Helper()
	text := "streams: [{name: a, backup: {s3: {bucket: lake}}, destination: {opensearch: {url: 'https://h', index: i, tls: {ca_file: '" + caFile + "'}}}}]"
	return parse([]byte(text), &reader{file: "f", env: testEnv})
}

// TestCertificatesAreLookedAtOnce: when a configuration is read. What is stored of it passes its checks without the files.
func TestCertificatesAreLookedAtOnce(t *testing.T) {
	pem, err := os.ReadFile(filepath.Join("testdata", "client.pem"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	writeSecret(t, file, string(pem))
	c, err := inTLS(t, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if errs := c.Streams[0].Check(); len(errs) > 0 {
		t.Errorf("a stored stream is checked with the files it names: %v", errs)
	}
	if _, err := inTLS(t, file); err == nil {
		t.Error("a configuration was read without the file that it names")
	}
}

// TestCertificatesAreNotTold: what is no certificate may be a key, or anything; and it may be large.
func TestCertificatesAreNotTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	for content, want := range map[string]string{
		"": "holds no certificate in PEM form",
		"-----BEGIN PRIVATE KEY-----\naHVzaA==\n-----END PRIVATE KEY-----\nhush": "holds no certificate in PEM form",
		"-----BEGIN CERTIFICATE-----\naHVzaA==\n-----END CERTIFICATE-----\nhush": "holds no certificate in PEM form",
		strings.Repeat("hush", maxPEMBytes/4) + "\n":                             "is larger than the limit 4MB",
	} {
		writeSecret(t, file, content)
		_, err := inTLS(t, file)
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "aHVzaA") {
			t.Errorf("%.60q: %v, want %s", content, err, want)
		}
	}
}

// TestPairsAreNotTold: a key that does not fit its certificate is refused without a word of either.
func TestPairsAreNotTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.key")
	for _, key := range []string{"", "hush", "-----BEGIN PRIVATE KEY-----\naHVzaA==\n-----END PRIVATE KEY-----\n", "-----BEGIN CERTIFICATE-----\naHVzaA==\n-----END CERTIFICATE-----\n"} {
		writeSecret(t, file, key)
		for _, destination := range []string{
			"opensearch: {url: 'https://h', index: i, tls: {cert_file: testdata/client.pem, key_file: '" + file + "'}}",
			"redshift: {postgres: {url: 'postgres://u@h/db?sslcert=testdata/client.pem&sslkey=" + file + "'}, table: t, s3: {bucket: lake}}",
		} {
			_, err := parse([]byte("object_store: s3\nstreams: [{name: a, backup: {s3: {bucket: lake}}, destination: {"+destination+"}}]"), &reader{file: "f", env: testEnv})
			if err == nil || !strings.Contains(err.Error(), "cannot be used") || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "aHVzaA") {
				t.Errorf("%s with the key %q: %v", destination, key, err)
			}
		}
	}
}

// TestAFileHasOneStream: however its path is written.
func TestAFileHasOneStream(t *testing.T) {
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		first, second string
		same          bool
	}{
		{"out/a", "out/a", true},
		{"out/a", "out//a", true},
		{"out/a", folder + "/out/a", true},
		{"a-!{timestamp:yyyy/MM}", "a-!{timestamp:yyyy/MM}", true},
		{"a-!{timestamp:yyyy/MM}", "a-!{timestamp:yyyy/dd}", false},
		{"out/a", "out/A", false},
		{"out/-", "-", false},
		{folder + "/-", "-", false},
	} {
		text := "streams: [{name: a, backup: {s3: {bucket: lake}}, destination: {file: {path: '" + tc.first + "'}}}, " +
			"{name: b, backup: {s3: {bucket: lake}}, destination: {file: {path: '" + tc.second + "'}}}]"
		_, err := parse([]byte(text), &reader{file: "f", env: testEnv})
		if refused := err != nil && strings.Contains(err.Error(), "is already the path of streams[0]"); refused != tc.same || err != nil && !refused {
			t.Errorf("%s and %s: %v", tc.first, tc.second, err)
		}
	}
}
