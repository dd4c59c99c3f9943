// Command torture shows that no acknowledged record is lost and none is delivered twice, with the real daemon:
// first it is killed (SIGKILL) again and again while S3 fails in every way it can, then the power is cut again and
// again on a disk that forgets what was not synced. Producers keep account of every answer; at the end every object is read.
// Some streams make partitions and Parquet files, and some of their records must go to the error prefix: each record's
// bytes tell where it belongs. Their partition query changes now and then while the daemon is down.
//
// It owns the processes it starts and nothing else. Exit code 1: a record was lost, delivered twice, out of order,
// misplaced or damaged, a file cannot be read, or a component could not be started (lossyfs must be mountable). The seed fixes what producers send and
// which faults come; the moments still depend on the machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type options struct {
	hydrant, components, dir string
	kills, cuts, afterStore  int
	streams, lake, producers int
	seed                     uint64
	pace, duration           time.Duration
	keep                     bool
}

func parse() options {
	var o options
	flag.StringVar(&o.hydrant, "hydrant", "bin/hydrant", "the daemon's binary")
	flag.StringVar(&o.components, "components", "", "folder with the s3posix and lossyfs binaries")
	flag.StringVar(&o.dir, "dir", "", "working folder, on a real disk; default: a temporary one")
	flag.IntVar(&o.kills, "kills", 50, "how often the daemon is killed")
	flag.IntVar(&o.cuts, "powercuts", 20, "how often the power is cut")
	flag.IntVar(&o.afterStore, "after-store", 50, "how often S3 must at least have answered 500 after it stored the object")
	flag.IntVar(&o.streams, "streams", 6, "streams at a time; half of them are made by the API")
	flag.IntVar(&o.lake, "lake", 3, "further streams: JSON by partition, Parquet by partition and Parquet with a learned schema in turn, with bad records")
	flag.IntVar(&o.producers, "producers", 8, "concurrent producers")
	flag.Uint64Var(&o.seed, "seed", 0, "0 takes one from the clock")
	flag.DurationVar(&o.pace, "pace", 2*time.Second, "mean time between two kills or cuts")
	flag.DurationVar(&o.duration, "duration", 0, "go on killing at least this long")
	flag.BoolVar(&o.keep, "keep", false, "leave the working folder behind")
	flag.Parse()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	return o
}

func main() {
	o := parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := torture(ctx, &o)
	stop()
	if err != nil {
		fmt.Println("torture:", err)
	}
	if err != nil || !ok {
		fmt.Printf("FAILED (seed %d)\n", o.seed)
		os.Exit(1)
	}
	fmt.Printf("passed (seed %d)\n", o.seed)
}

type phase struct {
	name string
	n    int // kills or cuts; 0 leaves the phase out
	run  func(ctx context.Context, o *options, dir string, n int) (*world, error)
}

func phases(o *options) []phase {
	cuts := func(objectStore string) func(context.Context, *options, string, int) (*world, error) {
		return func(ctx context.Context, o *options, dir string, n int) (*world, error) {
			return cutPhase(ctx, o, dir, objectStore, n)
		}
	}
	return []phase{
		{"kills", o.kills, killPhase},
		{"power cuts, objects in S3", o.cuts / 2, cuts("s3")},
		{"power cuts, objects on the same disk", o.cuts - o.cuts/2, cuts("file")},
	}
}

func torture(ctx context.Context, o *options) (bool, error) {
	if err := o.settle(); err != nil {
		return false, err
	}
	fmt.Printf("seed %d, %d+%d streams, %d producers, %d kills, %d power cuts, in %s\n", o.seed, o.streams, o.lake, o.producers, o.kills, o.cuts, o.dir)
	if o.cuts > 0 {
		if err := proveDisk(o); err != nil {
			return false, fmt.Errorf("lossyfs: %w", err)
		}
	}
	ok := true
	for i, ph := range phases(o) {
		if ph.n == 0 {
			continue
		}
		fmt.Printf("== %s\n", ph.name)
		good, err := ph.do(ctx, o, filepath.Join(o.dir, fmt.Sprintf("phase%d", i+1)))
		if err != nil {
			return false, fmt.Errorf("%s: %w", ph.name, err)
		}
		ok = ok && good
	}
	if ok && !o.keep {
		return ok, os.RemoveAll(o.dir)
	}
	fmt.Println("logs and data are in", o.dir)
	return ok, nil
}

// settle makes paths absolute and the working folder.
func (o *options) settle() (err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "hydrant-torture-"); err != nil {
			return err
		}
	}
	for _, p := range []*string{&o.dir, &o.hydrant, &o.components} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	return nil
}

// do runs one phase and judges it. Its folder is removed if all was well.
func (ph phase) do(ctx context.Context, o *options, dir string) (good bool, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	w, err := ph.run(ctx, o, dir, ph.n)
	defer func() {
		w.close()
		if good && err == nil && !o.keep {
			err = os.RemoveAll(dir)
		}
	}()
	if err != nil {
		return false, err
	}
	return w.judge(ctx)
}
