package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// disk is a lossyfs mount. Each cut makes a new generation of it from the crash image of the one before.
type disk struct {
	bin, dir, mount string
	seed            uint64
	generation      int
	lines           chan string
	fs              *process
}

func (d *disk) state() string { return filepath.Join(d.dir, fmt.Sprintf("disk%d", d.generation)) }

// start mounts the present generation: always strict; on every second one part of what was not synced survives a cut.
func (d *disk) start() error {
	for _, p := range []string{d.mount, filepath.Join(d.state(), "live")} {
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
	}
	argv := []string{d.bin, "-strict"}
	if d.generation%2 == 1 {
		argv = append(argv, "-torn", fmt.Sprint(d.seed%1_000_000+uint64(d.generation)))
	}
	lines := make(chan string, 16)
	p, err := start("lossyfs", d.dir, nil, func(l string) {
		select {
		case lines <- l:
		default: // nobody waits for it
		}
	}, append(argv, d.mount, d.state())...)
	if err != nil {
		return err
	}
	d.fs, d.lines = p, lines
	return d.expect("mounted")
}

func (d *disk) expect(prefix string) error {
	limit := time.After(time.Minute)
	for {
		select {
		case l := <-d.lines:
			if strings.HasPrefix(l, prefix) {
				return nil
			}
			if strings.Contains(l, "failed") {
				return fmt.Errorf("lossyfs: %s\n%s", l, d.fs.tail())
			}
		case <-d.fs.done:
			return fmt.Errorf("lossyfs ended while waiting for %q (it needs root and /dev/fuse): %w\n%s", prefix, errors.Join(d.fs.err), d.fs.tail())
		case <-limit:
			return fmt.Errorf("lossyfs: waited in vain for %q\n%s", prefix, d.fs.tail())
		}
	}
}

// image writes what would be found after losing power now.
func (d *disk) image() error {
	d.fs.signal(syscall.SIGUSR1)
	return d.expect("crash image")
}

// replace mounts the crash image in place of the disk. Nobody may use the mount meanwhile.
func (d *disk) replace() error {
	old := d.state()
	d.unmount()
	d.generation++
	if err := os.MkdirAll(d.state(), 0o755); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(old, "after-crash"), filepath.Join(d.state(), "live")); err != nil {
		return err
	}
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	return d.start()
}

func (d *disk) unmount() {
	if d.fs == nil || d.fs.ended() {
		return
	}
	if err := d.fs.terminate(5 * time.Second); err != nil {
		_ = syscall.Unmount(d.mount, syscall.MNT_DETACH)
	}
}

// cutPhase cuts the power n times. With the file store, objects stand on the same disk and are lost with it.
func cutPhase(ctx context.Context, o *options, dir, objectStore string, n int) (*world, error) {
	w, err := newWorld(ctx, o, dir, objectStore)
	if err != nil {
		return w, err
	}
	w.disk = &disk{bin: filepath.Join(o.components, "lossyfs"), dir: dir, mount: filepath.Join(dir, "mount"), seed: o.seed}
	w.daemon.data = filepath.Join(w.disk.mount, "data")
	if objectStore == "file" {
		w.store = folder{w.daemon.data}
	}
	if err := w.disk.start(); err != nil {
		return w, err
	}
	if err := w.begin(); err != nil {
		return w, err
	}
	began := time.Now()
	for cut := range n {
		if err := w.sleep(ctx, w.interval()); err != nil {
			return w, err
		}
		if err := w.cutPower(); err != nil {
			return w, fmt.Errorf("power cut %d: %w", cut+1, err)
		}
	}
	if err := w.sleep(ctx, o.pace); err != nil {
		return w, err
	}
	fmt.Printf("%d power cuts in %v\n", n, time.Since(began).Round(time.Second))
	return w, w.drain()
}

// cutPower: from the moment the disk stands still the daemon must do nothing more, to nobody, as without power; so it is
// frozen first. Answers that producers receive after the cut began do not count as acknowledged.
func (w *world) cutPower() error {
	w.ledger.cut(true)
	if err := w.daemon.freeze(); err != nil {
		return err
	}
	if err := w.disk.image(); err != nil {
		return err
	}
	w.daemon.kill()
	if err := w.disk.replace(); err != nil {
		return err
	}
	if err := w.edit(); err != nil {
		return err
	}
	if err := w.daemon.start(); err != nil {
		return err
	}
	w.ledger.cut(false)
	return nil
}
