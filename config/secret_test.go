package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestSecretsAreLookedUp: each time anew, where they are said to be.
func TestSecretsAreLookedUp(t *testing.T) {
	t.Setenv("HYDRANT_TEST_SECRET", "hush")
	file := filepath.Join(t.TempDir(), "token")
	in := Secret("file:" + file)
	for _, tc := range []struct {
		secret     Secret
		file, want string
	}{
		{"plain", "", "plain"},
		{"${HYDRANT_TEST_SECRET}", "", "hush"},
		{"Bearer ${HYDRANT_TEST_SECRET}!", "", "Bearer hush!"},
		{"$${HYDRANT_TEST_SECRET}", "", "${HYDRANT_TEST_SECRET}"},
		{in, "one\n", "one"},
		{in, "two\r\n\n", "two"},
		{in, " ${HYDRANT_TEST_SECRET} ", " ${HYDRANT_TEST_SECRET} "},
		{in, strings.Repeat("x", maxSecretBytes), strings.Repeat("x", maxSecretBytes)},
	} {
		if tc.file != "" {
			writeSecret(t, file, tc.file)
		}
		if got, err := tc.secret.Reveal(); err != nil || got != tc.want {
			t.Errorf("%.40q: %.40q, %v, want %.40q", string(tc.secret), got, err, tc.want)
		}
		if got, err := tc.secret.Get()(); err != nil || got != tc.want {
			t.Errorf("%.40q: %.40q, %v", string(tc.secret), got, err)
		}
	}
	if Secret("").Get() != nil {
		t.Error("no secret can be got all the same")
	}
}

// TestSecretsThatCannotBeHad: the error says where they were looked for, and nothing of what stands there.
func TestSecretsThatCannotBeHad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	for _, tc := range []struct{ name, content, want string }{
		{"empty", "", "is empty"},
		{"empty", "\r\n\n", "is empty"},
		{"large", "hush" + strings.Repeat("x", maxSecretBytes), "is larger than 64KB"},
	} {
		writeSecret(t, file, tc.content)
		_, err := Secret("file:" + file).Reveal()
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if _, err := Secret("file:" + filepath.Join(dir, "nowhere")).Reveal(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Secret("file:" + dir).Reveal(); err == nil {
		t.Error("a folder was read")
	}
	if _, err := Secret("hush ${HYDRANT_TEST_NOT_SET}").Reveal(); err == nil || !strings.Contains(err.Error(), "HYDRANT_TEST_NOT_SET is not set") || strings.Contains(err.Error(), "hush") {
		t.Errorf("a variable that is not set: %v", err)
	}
}

func writeSecret(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSecretsAreHidden: whatever prints them, alone or within a destination.
func TestSecretsAreHidden(t *testing.T) {
	const s = Secret("hush")
	d := secretive(s)
	for _, v := range []any{s, &struct{ Token Secret }{s}, []Secret{s}, map[string]Secret{"Authorization": s}, *d.Splunk, *d.HTTP, *d.OpenSearch, *d.Redshift, *d.Redshift.Postgres} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "hush") || !strings.Contains(text, hidden) {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
		if text := logged(v)["text"]; strings.Contains(text, "hush") || !strings.Contains(text, hidden) {
			t.Errorf("%T: %s", v, text)
		}
	}
	for _, text := range []string{fmt.Sprintf("%s %q %x", s, s, s), logged(s)["json"], errors.Join(fmt.Errorf("%w: %v", fs.ErrInvalid, s)).Error()} {
		if strings.Contains(text, "hush") || strings.Contains(text, "68757368") {
			t.Error(text)
		}
	}
	if text := fmt.Sprintf("%v|%+v|%#v", Secret(""), Secret(""), Secret("")); text != "||" {
		t.Errorf("no secret prints as %q", text)
	}
}

// logged is a line of each of slog's handlers.
func logged(v any) map[string]string {
	var text, lines bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "secret", v)
	slog.New(slog.NewJSONHandler(&lines, nil)).Info("m", "secret", v)
	return map[string]string{"text": text.String(), "json": lines.String()}
}

// secretive is one of each kind that has secrets, all with this one.
func secretive(s Secret) Destination {
	return Destination{
		OpenSearch: &OpenSearch{URLs: []string{"https://h"}, Username: "u", Password: s},
		Splunk:     &Splunk{URL: "https://h", Token: s},
		HTTP:       &HTTP{URL: "https://h", AccessKey: s, Headers: map[string]Secret{"Authorization": s}},
		Redshift:   &Redshift{Credentials: s, Postgres: &Postgres{URL: s, Password: s}},
	}
}

// TestSecretsAreStoredByReference: what is kept of a stream names the place, so that it holds no secret and follows one that changed.
func TestSecretsAreStoredByReference(t *testing.T) {
	t.Setenv("HYDRANT_TEST_SECRET", "hush")
	file := filepath.Join(t.TempDir(), "token")
	writeSecret(t, file, "hush\n")
	for _, s := range []Secret{"${HYDRANT_TEST_SECRET}", Secret("file:" + file)} {
		stored, err := json.Marshal(secretive(s))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(stored), "hush") || strings.Count(string(stored), string(s)) != 7 {
			t.Errorf("stored as %s", stored)
		}
		var back Destination
		if err := json.Unmarshal(stored, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, secretive(s)) {
			t.Errorf("came back as %s", stored)
		}
		if got, err := back.HTTP.Headers["Authorization"].Reveal(); err != nil || got != "hush" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestSecretsAreNotTold: a file with secrets in it that cannot be used is refused without them.
func TestSecretsAreNotTold(t *testing.T) {
	for _, text := range []string{
		"opensearch: {url: 'https://u:hush@h', index: i}",
		"opensearch: {url: 'u:hush@h', index: i}",
		"opensearch: {url: 'https://u:hu%zzhush@h', index: i}",
		"http: {url: 'ftp://h/?key=hush'}",
		"http: {url: 'https://h/?key=hush#hush'}",
		"http: {url: 'https://u@h/?key=a@hush'}",
		"http: {url: 'https://h', plain: true, access_key: hush}",
		"http: {url: 'https://h', headers: {Host: hush}}",
		"redshift: {postgres: {url: 'https://u:hush@h/db'}, table: t, s3: {bucket: lake}}",
		"redshift: {postgres: {url: 'postgres://u:hu%zzhush@h/db'}, table: t, s3: {bucket: lake}}",
		"redshift: {postgres: {url: 'postgres://h/db', plain: true, password: hush}, credentials: hush, table: t, s3: {bucket: lake}}",
	} {
		_, err := parse([]byte("object_store: s3\nstreams: [{name: a, backup: {s3: {bucket: lake}}, destination: {"+text+"}}]"), &reader{file: "f", env: testEnv})
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s is not refused: %v", text, err)
			continue
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
