package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// child is a hydrant process.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	ready  string // the line on stdout
	stderr *bufio.Reader
	log    bytes.Buffer
}

// startChild returns when the process says that it is ready.
func startChild(t *testing.T, config, dir string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(self, "run", "--config", writeFile(t, "hydrant.yml", config), "--data-dir", dir,
		"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")}
	c.cmd.Env = append(os.Environ(), asHydrant+"=1", "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=thing")
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	c.stderr = bufio.NewReader(io.TeeReader(errs, &c.log))
	line, err := bufio.NewReader(out).ReadString('\n')
	m := regexp.MustCompile(`is ready: records on (http://\S+), admin on (http://\S+), data in`).FindStringSubmatch(line)
	if err != nil || m == nil {
		_, _ = io.Copy(io.Discard, c.stderr)
		t.Fatalf("%q, %v\n%s", line, err, c.log.String())
	}
	c.url, c.ready = m[1], line
	return c
}

func (c *child) put(body string) {
	c.t.Helper()
	resp, err := http.Post(c.url+"/v1/streams/web/records", "application/x-ndjson", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.t.Fatal(resp.Status)
	}
	http.DefaultClient.CloseIdleConnections()
}

func (c *child) signal() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
}

// logged reads the log until it has the text.
func (c *child) logged(text string) {
	c.t.Helper()
	for {
		line, err := c.stderr.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			c.t.Fatalf("%q is not in the log:\n%s", text, c.log.String())
		}
	}
}

// ended waits for the process and gives its exit code.
func (c *child) ended() int {
	c.t.Helper()
	_, _ = io.Copy(io.Discard, c.stderr)
	_ = c.cmd.Wait()
	return c.cmd.ProcessState.ExitCode()
}

func TestRunDeliversOnTerm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, `
log: {format: json, level: debug}
streams:
  - name: web
    buffer: {interval: 900s}
    destination: {s3: {bucket: lake, prefix: web/}}
`, dir)
	c.put("{\"a\":1}\n")
	if got := objects(t, dir); got != "" {
		t.Fatalf("delivered before its time: %q", got)
	}
	c.signal()
	if code := c.ended(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, c.log.String())
	}
	if got := objects(t, dir); got != "{\"a\":1}\n" {
		t.Errorf("objects hold %q", got)
	}
	if want := "hydrant.yml, 1 stream\n"; !strings.Contains(c.ready, ", configuration ") || !strings.HasSuffix(c.ready, want) {
		t.Errorf("%q does not end with %q", c.ready, want)
	}
	checkJSONLog(t, c.log.String(), c.url)
}

// checkJSONLog wants JSON in each line and one line that says ready.
func checkJSONLog(t *testing.T, log, url string) {
	t.Helper()
	ready := 0
	for line := range strings.Lines(log) {
		var one struct {
			Level, Msg, Listen, Config string
			Streams                    int
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if one.Msg == "ready" && one.Level == "INFO" && "http://"+one.Listen == url && one.Streams == 1 && strings.HasSuffix(one.Config, "hydrant.yml") {
			ready++
		}
	}
	if ready != 1 {
		t.Errorf("%d lines say ready in\n%s", ready, log)
	}
}

func TestASecondSignalEndsTheDrain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, `
object_store: s3
shutdown_timeout: 1h
streams:
  - name: web
    buffer: {interval: 900s}
    destination: {s3: {bucket: lake, endpoint: "http://127.0.0.1:1"}}
`, dir)
	c.put("{\"a\":1}\n{\"a\":2}\n")
	c.signal()
	c.logged("a second signal stops at once")
	c.signal()
	c.logged("stopping at once")
	if code := c.ended(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, c.log.String())
	}
	if r := cli(t, "", "log", "dump", "--raw", dir); r.code != 0 || r.out != "{\"a\":1}\n{\"a\":2}\n" {
		t.Errorf("the log holds %q %s", r.out, r.err)
	}
}

func TestRunRefusesToStart(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := writeFile(t, "f", "")
	held := t.TempDir()
	startDaemon(t, held)
	free := []string{"run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"}
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"configuration":            {append(free, t.TempDir(), "--config", writeFile(t, "c.yml", "listn: x\n")), 2, "c.yml:1:"},
		"file missing":             {append(free, t.TempDir(), "--config", "/nonexistent.yml"), 2, "/nonexistent.yml"},
		"exposed":                  {[]string{"run", "--data-dir", t.TempDir(), "--listen", "0.0.0.0:0"}, 2, "without authentication"},
		"port taken":               {[]string{"run", "--data-dir", t.TempDir(), "--listen", l.Addr().String(), "--admin", "127.0.0.1:0"}, 1, "choose another address with --listen"},
		"folder taken":             {append(free, held), 1, "the data directory " + held + " is in use: held by pid"},
		"folder taken: what to do": {append(free, held), 1, "; stop it, or choose another folder with --data-dir"},
		"folder is a file":         {append(free, file), 1, "data directory " + file + ": is a file"},
		"disk too small":           {append(free, t.TempDir(), "--config", writeFile(t, "c.yml", "min_free: 1024TB\n")), 2, "min_free: 1024TB is more than the whole disk"},
	} {
		t.Run(name, func(t *testing.T) {
			cli(t, "", c.args...).want(t, c.code, c.text)
		})
	}
}
