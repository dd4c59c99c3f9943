package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one child. Its output goes to a file; it dies with this program.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed
}

// start runs a child. watch, when not nil, gets each line of its output until the child has ended.
func start(name, dir string, env []string, watch func(string), argv ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdout, p.cmd.Stderr = f, f
	var lines sync.WaitGroup
	var pipe *os.File
	if watch != nil {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		pipe, p.cmd.Stdout = w, w
		lines.Go(func() { defer r.Close(); copyLines(f, r, watch) })
	}
	err = p.cmd.Start()
	if pipe != nil {
		_ = pipe.Close()
	}
	if err != nil {
		lines.Wait()
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), f.Close())
	}
	go func() {
		defer close(p.done)
		lines.Wait()
		p.err = p.cmd.Wait()
		_ = f.Close()
	}()
	return p, nil
}

func copyLines(w io.Writer, r io.Reader, watch func(string)) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		fmt.Fprintln(w, s.Text())
		watch(s.Text())
	}
}

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill is SIGKILL; it returns when the process is gone.
func (p *process) kill() {
	if p == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

// terminate is SIGTERM; a process that has not ended by then is killed, which is an error, as is an exit code.
func (p *process) terminate(limit time.Duration) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.tail())
		}
		return nil
	case <-time.After(limit):
		p.kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM\n%s", p.name, limit, p.tail())
	}
}

// freeze stops the process (SIGSTOP) and returns when none of its threads runs any more.
func (p *process) freeze() error {
	p.signal(syscall.SIGSTOP)
	return until("the daemon is stopped", 10*time.Second, func() (bool, error) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
		if err != nil || len(tasks) == 0 {
			return false, errors.Join(errors.New("the daemon is gone"), err)
		}
		for _, t := range tasks {
			b, err := os.ReadFile(t)
			if err != nil {
				return false, nil // a thread that just ended
			}
			if _, rest, _ := strings.Cut(string(b), ") "); !strings.HasPrefix(rest, "T") {
				return false, nil
			}
		}
		return true, nil
	})
}

func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

func until(what string, limit time.Duration, probe func() (bool, error)) error {
	for end := time.Now().Add(limit); ; {
		ok, err := probe()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ok {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %v in vain: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// daemon is `hydrant run`, killed and started again on the same data and the same ports.
type daemon struct {
	bin, dir      string // dir holds config and log, not the data
	config, data  string
	listen, admin string
	endpoint      string // of S3, empty for the file store
	starts        int
	slowest       time.Duration // until /readyz was 200
	*process
}

const (
	accessKey = "AKIDEXAMPLE"
	secretKey = "secretsecret"
	bucket    = "torture"
)

func (d *daemon) start() error {
	env := []string{"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "HOME=" + d.dir}
	if d.endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL_S3="+d.endpoint)
	}
	p, err := start("hydrant", d.dir, env, nil, d.bin, "run", "--config", d.config, "--data-dir", d.data, "--listen", d.listen, "--admin", d.admin)
	if err != nil {
		return err
	}
	d.process = p
	d.starts++
	t0 := time.Now()
	err = until("/readyz is 200", 60*time.Second, func() (bool, error) {
		if p.ended() {
			return false, errors.Join(errors.New("the daemon ended"), p.err)
		}
		r, err := http.Get("http://" + d.admin + "/readyz")
		if err != nil {
			return false, nil
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK, nil
	})
	d.slowest = max(d.slowest, time.Since(t0))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.tail())
	}
	return nil
}

// backlog adds up hydrant_backlog_records over all streams.
func (d *daemon) backlog() (int, error) {
	r, err := http.Get("http://" + d.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	sum, found := 0.0, false
	for s := bufio.NewScanner(r.Body); s.Scan(); {
		if strings.HasPrefix(s.Text(), "hydrant_backlog_records{") {
			var v float64
			if _, err := fmt.Sscan(s.Text()[strings.LastIndexByte(s.Text(), ' ')+1:], &v); err != nil {
				return 0, err
			}
			sum, found = sum+v, true
		}
	}
	if !found {
		return 0, errors.New("/metrics has no hydrant_backlog_records")
	}
	return int(sum), nil
}
