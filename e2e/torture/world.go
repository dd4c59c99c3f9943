package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// world is one phase: a daemon, its S3 server behind faults, and the producers. close may be called at any time, once.
type world struct {
	opt     *options
	dir     string
	rnd     *rand.Rand
	s3      *process
	proxy   *proxy
	strict  strictS3
	daemon  *daemon
	disk    *disk // for power cuts
	store   store
	streams *streams
	ledger  *ledger
	puts    putCounts
	config  configuration
	edits   int // of the partition query

	ctx       context.Context // of the churn
	cancel    context.CancelFunc
	stop      chan struct{}
	producers sync.WaitGroup
	churnErr  chan error
}

func newWorld(ctx context.Context, o *options, dir, objectStore string) (*world, error) {
	w := &world{opt: o, dir: dir, rnd: rand.New(rand.NewPCG(o.seed, 2)), ledger: newLedger(), stop: make(chan struct{}), churnErr: make(chan error, 1)}
	w.ctx, w.cancel = context.WithCancel(ctx)
	listen, err := freeAddr()
	if err != nil {
		return w, err
	}
	admin, err := freeAddr()
	if err != nil {
		return w, err
	}
	w.streams = newStreams(listen)
	w.daemon = &daemon{bin: o.hydrant, dir: dir, config: filepath.Join(dir, "hydrant.yml"), data: filepath.Join(dir, "data"), listen: listen, admin: admin}
	w.config = configuration{store: objectStore, plain: o.streams - o.streams/2, lake: o.lake}
	w.streams.list = w.config.streams()
	if err := w.configure(); err != nil {
		return w, err
	}
	if objectStore == "file" {
		return w, nil
	}
	return w, w.startS3(ctx)
}

func (w *world) configure() error {
	return os.WriteFile(w.daemon.config, []byte(w.config.yaml()), 0o644)
}

// edit changes the partition query now and then. The daemon must be down. It leaves the first version alone until every stream
// is on disk with it: which query a version has is known by its number.
func (w *world) edit() error {
	if w.config.lake == 0 || w.rnd.IntN(4) > 0 {
		return nil
	}
	for _, st := range w.config.streams() {
		if !w.ledger.begun(st.life) {
			return nil
		}
	}
	w.edits++
	w.config.even = !w.config.even
	return w.configure()
}

func (w *world) startS3(ctx context.Context) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	root := filepath.Join(w.dir, "s3posix")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	env := []string{"S3_ACCESS_KEY=" + accessKey, "S3_SECRET_KEY=" + secretKey}
	if w.s3, err = start("s3posix", w.dir, env, nil, filepath.Join(w.opt.components, "s3posix"), addr, root); err != nil {
		return err
	}
	w.strict = newStrictS3(addr)
	w.store = w.strict
	err = until("the bucket is made", 30*time.Second, func() (bool, error) {
		if w.s3.ended() {
			return false, fmt.Errorf("s3posix ended: %s", w.s3.tail())
		}
		return w.strict.makeBucket(ctx, bucket) == nil, nil
	})
	if err != nil {
		return err
	}
	if w.proxy, err = startProxy(addr, w.opt.seed); err != nil {
		return err
	}
	w.daemon.endpoint = "http://" + w.proxy.addr
	return nil
}

// begin starts the daemon, makes the API's half of the streams, and lets producers and churn loose.
func (w *world) begin() error {
	if err := w.daemon.start(); err != nil {
		return err
	}
	for i := range w.opt.streams / 2 {
		if err := w.streams.create(w.ctx, fmt.Sprintf("a%d", i)); err != nil {
			return err
		}
	}
	for id := range w.opt.producers {
		p := newProducer(id, w.opt.seed, w.daemon.listen, w.streams, w.ledger, &w.puts)
		w.producers.Go(func() { p.run(w.stop) })
	}
	w.producers.Go(func() { w.churnErr <- w.streams.churn(w.ctx, w.stop, rand.New(rand.NewPCG(w.opt.seed, 3))) })
	return nil
}

// interval is the time to the next kill or cut: mostly around the pace, sometimes at once.
func (w *world) interval() time.Duration {
	if w.rnd.IntN(6) == 0 {
		return time.Duration(w.rnd.IntN(200)) * time.Millisecond
	}
	return time.Duration(w.rnd.Int64N(int64(2*w.opt.pace) + 1))
}

func (w *world) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-w.churnErr:
		if err == nil {
			err = errors.New("stream churn ended early")
		}
		return err
	case <-w.daemon.done:
		return fmt.Errorf("%w\n%s", errors.Join(errors.New("the daemon ended by itself"), w.daemon.err), w.daemon.tail())
	case <-time.After(d):
		return nil
	}
}

// drain ends the producers, heals S3, waits until nothing is left to deliver, and stops the daemon in peace.
func (w *world) drain() error {
	if w.proxy != nil {
		w.proxy.heal(true)
	}
	close(w.stop)
	w.stop = nil
	w.producers.Wait()
	if err := <-w.churnErr; err != nil {
		return fmt.Errorf("streams made and deleted by API: %w", err)
	}
	err := until("everything is delivered", 3*time.Minute, func() (bool, error) {
		n, err := w.daemon.backlog()
		return n == 0, err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, w.daemon.tail())
	}
	return w.daemon.terminate(90 * time.Second)
}

// judge reads everything back and prints the account.
func (w *world) judge(ctx context.Context) (bool, error) {
	t, objects, err := verify(ctx, w.store, w.ledger)
	if err != nil {
		return false, err
	}
	fmt.Printf("puts: %v\n", &w.puts)
	fmt.Printf("streams made by API %d, deleted %d; partition query changed %d times; daemon starts %d, slowest until ready %v\n",
		w.streams.made, w.streams.deleted, w.edits, w.daemon.starts, w.daemon.slowest.Round(time.Millisecond))
	rewritten := 0
	if w.proxy != nil {
		rewritten = w.proxy.rewrites()
		fmt.Printf("faults of S3: %v\n", w.proxy)
	}
	fmt.Printf("%d objects: %v\n", objects, t)
	for _, e := range t.examples {
		fmt.Println("  ", e)
	}
	if rewritten > 0 {
		fmt.Printf("%d times an object was written over by another one\n", rewritten)
	}
	return t.ok() && rewritten == 0, nil
}

func (w *world) close() {
	if w.stop != nil {
		close(w.stop)
	}
	w.cancel()
	if w.daemon != nil {
		w.daemon.kill()
	}
	w.producers.Wait()
	if w.proxy != nil {
		w.proxy.close()
	}
	w.s3.kill()
	if w.disk != nil {
		w.disk.unmount()
	}
}
