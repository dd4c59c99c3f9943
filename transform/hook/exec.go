package hook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processes asks programs on this machine: one invocation a line on their standard input, one answer a line on their standard output. A
// program that died, did not answer in time or wrote something else is ended, and started anew for the next invocation.
type processes struct {
	o    Options
	idle chan *process // nil: not started yet
}

type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	read sync.WaitGroup
}

func newProcesses(o Options) (*processes, error) {
	if _, err := exec.LookPath(o.Exec[0]); err != nil {
		return nil, err
	}
	p := &processes{o: o, idle: make(chan *process, o.Concurrency)}
	for range o.Concurrency {
		p.idle <- nil
	}
	return p, nil
}

func (p *processes) arn() string { return "exec:" + p.o.Exec[0] }

func (p *processes) close() error {
	for range cap(p.idle) {
		if x := <-p.idle; x != nil {
			x.end(time.Second)
		}
	}
	return nil
}

func (p *processes) call(ctx context.Context, payload []byte) (answer []byte, err error) {
	x := <-p.idle
	defer func() { p.idle <- x }()
	if x == nil {
		if x, err = p.start(); err != nil {
			return nil, &invokeError{code: codeFunction, message: "The program cannot be started: " + clip(err.Error())}
		}
	}
	type result struct {
		line []byte
		err  error
	}
	done := make(chan result, 1)
	go func(x *process) {
		line, err := x.ask(payload)
		done <- result{line, err}
	}(x)
	select {
	case r := <-done:
		if r.err != nil {
			x.end(0)
			x = nil
			return nil, r.err
		}
		return r.line, nil
	case <-ctx.Done():
		x.end(0)
		<-done
		x = nil
		return nil, ctx.Err()
	}
}

func (p *processes) start() (*process, error) {
	cmd := exec.Command(p.o.Exec[0], p.o.Exec[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	for name, v := range p.o.Env {
		cmd.Env = append(cmd.Env, name+"="+v)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	x := &process{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 64<<10)}
	if p.o.Memory > 0 {
		limit := unix.Rlimit{Cur: uint64(p.o.Memory), Max: uint64(p.o.Memory)}
		if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_AS, &limit, nil); err != nil {
			x.end(0)
			return nil, fmt.Errorf("limit its memory: %w", err)
		}
	}
	x.read.Go(func() { p.complaints(stderr) })
	return x, nil
}

// complaints counts what the program writes to its standard error. What it says stays out of the log: it may quote a record.
func (p *processes) complaints(r io.Reader) {
	n, _ := io.Copy(io.Discard, r)
	if n > 0 {
		p.o.Logger.Warn("a hook's process wrote to its standard error", "stream", p.o.Stream, "program", p.o.Exec[0], "bytes", n)
	}
}

// ask sends one line and reads one.
func (x *process) ask(payload []byte) ([]byte, error) {
	if bytes.IndexByte(payload, '\n') >= 0 {
		return nil, errors.New("an invocation has several lines") // JSON as we write it has none
	}
	if _, err := x.in.Write(append(payload, '\n')); err != nil {
		return nil, &invokeError{code: codeFunction, message: "The program took no invocation: " + clip(err.Error())}
	}
	var line []byte
	for {
		part, err := x.out.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxPayload+1:
			return nil, errAnswerTooLarge
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return nil, &invokeError{code: codeFunction, message: "The program ended without an answer."}
		}
		if text := strings.TrimSpace(string(line)); text == "" {
			line = line[:0]
			continue
		}
		return line, nil
	}
}

// end lets the program go, and kills it and what it started when it does not within a time.
func (x *process) end(within time.Duration) {
	_ = x.in.Close()
	if within > 0 {
		t := time.AfterFunc(within, x.kill)
		defer t.Stop()
	} else {
		x.kill()
	}
	x.read.Wait()
	_ = x.cmd.Wait()
	x.kill() // what it started and left
}

func (x *process) kill() { _ = syscall.Kill(-x.cmd.Process.Pid, syscall.SIGKILL) }
