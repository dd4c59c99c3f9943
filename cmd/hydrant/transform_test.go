package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// try runs the command over lines, with a configuration.
func try(t *testing.T, yaml, in string, args ...string) (out, told string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hydrant.yml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := newTransform()
	var stdout, stderr bytes.Buffer
	cmd.SetIn(strings.NewReader(in))
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetArgs(append([]string{"--config", file}, args...))
	err = cmd.Execute()
	return stdout.String(), stderr.String(), err
}

const tried = `streams:
  - name: a
    format: parquet
    parquet: {schema: {columns: {id: int, name: string}}}
    processors:
      - filter: {drop: .probe}
      - dedupe: {key: .id, window: 1h}
      - drop: .password
      - jq: if .boom then error("no") else . end
    destination: {s3: {bucket: lake}}
  - name: b
    destination: {s3: {bucket: lake}}
`

func TestTransformTries(t *testing.T) {
	out, told, err := try(t, tried, `{"id":1,"name":"x","password":"y"}
{"probe":true}

{"id":1,"name":"again"}
{"id":2,"boom":true}
{"id":"three"}
no JSON`, "--stream", "a")
	if out != "{\"id\":1,\"name\":\"x\"}\n" {
		t.Errorf("%q", out)
	}
	if err == nil || err.Error() != "3 records would be set aside" {
		t.Error(err)
	}
	for _, want := range []string{
		"record 4: JQ.EvaluationFailed", "record 5: DataFormatConversion.", "record 6: Filter.EvaluationFailed",
		"filter                    6          4          1", "dedupe                    4          3          0", "jq                        3          2          1",
		"all                       6          1          3",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not in\n%s", want, told)
		}
	}
	if out, _, err := try(t, tried, "as it is\n", "--stream", "b"); err != nil || out != "as it is\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestTransformNeedsAStream(t *testing.T) {
	if _, _, err := try(t, tried, ""); err == nil || !strings.Contains(err.Error(), "--stream") {
		t.Error(err)
	}
	if _, _, err := try(t, tried, "", "--stream", "c"); err == nil || !strings.Contains(err.Error(), `no stream "c"`) {
		t.Error(err)
	}
	if _, _, err := try(t, "streams: [{name: a, processors: [jq: \".[\"], destination: {s3: {bucket: lake}}}]", ""); err == nil || !strings.Contains(err.Error(), "hydrant.yml:1:") {
		t.Error(err)
	}
}
