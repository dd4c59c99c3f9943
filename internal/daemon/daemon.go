// Package daemon is the composition root: it builds the streams out of log, batcher, delivery, formats and sinks, serves the
// two ports, starts and stops. It is the only package that knows all the others, and it can run inside a test.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"hydrant/buffer/wal"
	"hydrant/config"
	"hydrant/delivery"
	"hydrant/delivery/staging"
	"hydrant/internal/spool"
	"hydrant/internal/vfs"
	"hydrant/sinks/filestore"
	"hydrant/sinks/s3"
)

// Options of a daemon. Config is required and must have passed its checks.
type Options struct {
	Config *config.Config
	Logger *slog.Logger
	FS     vfs.FS // the real disk when nil
	// Lock guards the data directory against a second daemon; vfs.Lock when nil.
	Lock func(dir, holder string) (unlock func() error, err error)
	Now  func() time.Time
	// SpoolDir holds disposable files of encoded objects, on the real disk; DataDir/spool when "".
	SpoolDir string
	// Sink replaces all object stores.
	Sink delivery.Sink
	// Requester replaces all destinations that take records in requests.
	Requester func(stream string, d config.Destination) delivery.Requester
	// Loader replaces all warehouses.
	Loader func(stream string, d config.Destination) delivery.Loader
	// Stage stands around every chain of processors; nil: nothing does.
	Stage func(delivery.Stage) delivery.Stage
	// Staged stands in place of the processors that must not see a record twice.
	Staged func(config.Stream) (staging.Chain, error)
}

// Daemon is a running Hydrant without its listeners. Safe for concurrent use.
type Daemon struct {
	env
	cfg      *config.Config
	registry *prometheus.Registry
	unlock   func() error

	createMu sync.Mutex // one Create at a time; taken before mu

	mu      sync.RWMutex
	streams map[string]*stream

	ctx     context.Context // ends when the daemon stops
	cancel  context.CancelFunc
	wg      sync.WaitGroup // janitor, deletions, left uploads
	started time.Time
	sink    delivery.Sink
}

// spares is how many free segments the pool keeps.
const spares = 8

// janitorEvery is how often idle streams give their space back.
const janitorEvery = 30 * time.Second

// Open locks the data directory, reads what a former life left and starts delivering it. Damage in it is reported, never an error.
func Open(o Options) (*Daemon, error) {
	if err := checkSpecs(o.Config.Streams); err != nil {
		return nil, err
	}
	d := &Daemon{cfg: o.Config, registry: prometheus.NewRegistry(), streams: map[string]*stream{}, sink: o.Sink}
	d.around, d.staged, d.requester, d.loader, d.aws = o.Stage, o.Staged, o.Requester, o.Loader, o.Config.AWS
	d.logger, d.fs, d.now = o.Logger, o.FS, o.Now
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	if d.fs == nil {
		d.fs = vfs.NewOS()
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.spoolDir = o.SpoolDir
	if d.spoolDir == "" {
		d.spoolDir = filepath.Join(o.Config.DataDir, "spool")
	}
	d.started = d.now()
	d.ctx, d.cancel = context.WithCancel(context.Background())
	lock := o.Lock
	if lock == nil {
		lock = vfs.Lock
	}
	if err := vfs.MkdirAll(d.fs, o.Config.DataDir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	var err error
	if d.unlock, err = lock(o.Config.DataDir, vfs.HolderText(d.started)); err != nil {
		return nil, err
	}
	if err := d.build(); err != nil {
		d.abandon()
		return nil, errors.Join(err, d.unlock())
	}
	return d, nil
}

// abandon ends what a start that failed had begun: streams that were opened deliver already.
func (d *Daemon) abandon() {
	d.stop.Store(true)
	d.cancel()
	d.wg.Wait()
	for _, s := range d.all() {
		if err := s.close(); err != nil {
			d.logger.Warn("closing after a start that failed", "stream", s.name, "err", err)
		}
	}
	if d.pool != nil {
		d.pool.Close()
	}
	if d.env.stores != nil {
		d.env.stores.close()
	}
}

func (d *Daemon) build() error {
	left, err := d.shared()
	if err != nil {
		return err
	}
	if err := d.loadStreams(); err != nil {
		return err
	}
	if err := d.reconcile(); err != nil {
		return err
	}
	d.openStreams()
	d.startRemovals()
	d.registry.MustRegister(&gauges{d: d})
	d.wg.Go(func() { d.uploads().abort(d.ctx, left, func(c *config.S3) any { return d.env.stores.of(c) }, d.logger) })
	d.wg.Go(d.janitor)
	return nil
}

func (d *Daemon) uploads() *uploads { return d.env.stores.uploads }

// shared makes what all streams use.
func (d *Daemon) shared() (left []upload, err error) {
	dir := d.cfg.DataDir
	d.catalog = &catalog{fs: d.fs, dir: filepath.Join(dir, "streams")}
	for _, p := range []string{d.catalog.dir, filepath.Join(dir, "pool")} {
		if err := vfs.MkdirAll(d.fs, p); err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
	}
	// A life that ended between making these folders and syncing their names left them to us.
	if err := d.fs.SyncDir(dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := os.MkdirAll(d.spoolDir, 0o755); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err := spool.Clean(d.spoolDir); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	total, err := d.fs.TotalBytes(dir)
	if err != nil {
		return nil, fmt.Errorf("size of the disk: %w", err)
	}
	if err := config.CheckDisk(d.cfg, total); err != nil {
		return nil, err
	}
	d.diskBytes = total
	d.guard = wal.NewGuard(d.fs, dir, int64(d.cfg.MinFree))
	if d.pool, err = wal.OpenPool(d.fs, filepath.Join(dir, "pool"), d.guard, spares, d.logger); err != nil {
		return nil, err
	}
	d.slots = semaphore.NewWeighted(int64(2 * runtime.GOMAXPROCS(0)))
	d.spoolBudget = spool.NewBudget(0, 0)
	d.lanes = &spool.LaneBudget{}
	d.requests = delivery.NewMemory(requestMemory, leastRequest)
	d.region, d.dataDir, d.minFree = d.cfg.AWS.Region, dir, int64(d.cfg.MinFree)
	d.metrics = newMetrics(d.registry)
	file := filestore.New(d.fs, dir)
	if err := file.Open(); err != nil {
		return nil, err
	}
	up, left, err := loadUploads(d.fs, filepath.Join(dir, "uploads.json"), d.logger)
	if err != nil {
		return nil, err
	}
	d.env.stores = &stores{kind: d.cfg.ObjectStore, region: d.cfg.AWS.Region, file: file, only: d.sink, uploads: up, logger: d.logger,
		s3: map[string]*s3.Store{}, fs: d.fs, dataDir: dir}
	return left, nil
}

// loadStreams reads which streams former lives left. None is opened before the configuration had its say.
func (d *Daemon) loadStreams() error {
	report := func(folder string, err error) {
		d.logger.Error("a stream's folder cannot be used; it is left alone", "folder", folder, "err", err)
	}
	all, err := d.catalog.load(report)
	if err != nil {
		return err
	}
	all = d.catalog.unique(all, report)
	for _, m := range all {
		if m.Status == statusDropped {
			if err := d.catalog.clear(m); err != nil {
				d.logger.Warn("a deleted stream's files could not be removed", "stream", m.Name, "err", err)
			}
			continue
		}
		d.streams[m.Name] = newStream(&d.env, m)
	}
	return nil
}

// openStreams opens what former lives left, several at once. A stream that cannot be opened does not keep the others from
// starting; the janitor tries it again.
func (d *Daemon) openStreams() {
	var g errgroup.Group
	g.SetLimit(8)
	for _, s := range d.all() {
		g.Go(func() error {
			if err := s.open(); err != nil {
				s.fail(err)
				d.logger.Error("the stream cannot be opened", "stream", s.name, "err", err)
			}
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
}

// reconcile brings the streams of the configuration and those on the disk together.
func (d *Daemon) reconcile() error {
	if err := d.checkForgotten(); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, c := range d.cfg.Streams {
		wanted[c.Name] = true
		s, ok := d.streams[c.Name]
		switch {
		case !ok:
			d.streams[c.Name] = newStream(&d.env, newMeta(c, ownerYAML, d.now()))
		case s.meta.Owner != ownerYAML && s.meta.Status == statusDeleting:
			d.logger.Warn("a stream of this name that the API made is still draining; the configured one follows when it is gone", "stream", c.Name)
		case s.meta.Owner != ownerYAML:
			return fmt.Errorf("streams: %s is in the configuration, but a stream of that name was made by the API; delete that one, or rename yours", c.Name)
		default:
			if err := s.reconfigure(c); err != nil { // on a full disk, say: it must drain all the same
				d.logger.Error("a stream's new configuration cannot be stored; the old one stays in force until the next start", "stream", c.Name, "err", err)
			}
		}
	}
	d.dropUnwanted(wanted)
	return nil
}

// checkForgotten refuses a start that would drain and remove every stream of a configuration file because nobody named that file.
func (d *Daemon) checkForgotten() error {
	if d.cfg.File != "" || len(d.cfg.Streams) > 0 {
		return nil
	}
	var names []string
	for name, s := range d.streams {
		if s.meta.Owner == ownerYAML && s.meta.Status == statusActive {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	return fmt.Errorf("the data directory %s holds streams of a configuration file (%s): name that file with --config, or choose another --data-dir; "+
		"a file without them drains and removes them", d.cfg.DataDir, strings.Join(names, ", "))
}

// dropUnwanted lets streams drain that left the configuration.
func (d *Daemon) dropUnwanted(wanted map[string]bool) {
	for name, s := range d.streams {
		m := s.snapshot()
		if m.Owner != ownerYAML || wanted[name] || m.Status != statusActive {
			continue
		}
		d.logger.Warn("the stream left the configuration; it takes no more records, drains, and is then removed", "stream", name)
		if err := s.setStatus(statusDeleting); err != nil {
			d.logger.Error("that the stream leaves cannot be stored; it drains all the same", "stream", name, "err", err)
			s.assume(statusDeleting)
		}
	}
}

// startRemovals goes on with deletions that a former life began.
func (d *Daemon) startRemovals() {
	for _, s := range d.all() { // a copy: a removal that is quick changes the map
		if s.snapshot().Status == statusDeleting {
			d.startRemoval(s)
		}
	}
}

// janitor gives the space of idle streams back.
func (d *Daemon) janitor() {
	t := time.NewTicker(janitorEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-d.ctx.Done():
			return
		}
		for _, s := range d.all() {
			if d.ctx.Err() != nil {
				return
			}
			s.tidy()
		}
		if d.guard.Low() {
			d.pool.Release()
		}
	}
}

func (d *Daemon) all() []*stream {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]*stream, 0, len(d.streams))
	for _, s := range d.streams {
		out = append(out, s)
	}
	return out
}

// Stop ends the daemon in two stages: it refuses puts at once and, unless the configuration says keep, closes and delivers open
// batches until ctx ends; then it stops what is left. What was not delivered stays in the log.
func (d *Daemon) Stop(ctx context.Context) error {
	d.mu.Lock() // whoever starts something under mu has seen it or is waited for
	d.stop.Store(true)
	d.mu.Unlock()
	if d.cfg.Shutdown != config.ShutdownKeep {
		d.drainAll(ctx)
	}
	d.cancel()
	d.wg.Wait()
	var errs []error
	var mu sync.Mutex
	var g errgroup.Group
	for _, s := range d.all() {
		g.Go(func() error {
			err := s.close()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			return nil
		})
	}
	_ = g.Wait()
	d.pool.Close()
	d.env.stores.close()
	errs = append(errs, d.unlock())
	return errors.Join(errs...)
}

func (d *Daemon) drainAll(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range d.all() {
		wg.Go(func() {
			if err := s.drain(ctx); err != nil {
				d.logger.Warn("not everything was delivered before the shutdown; the rest stays in the log", "stream", s.name)
			}
		})
	}
	wg.Wait()
}
