package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hydrant/config"
	"hydrant/internal/daemon"
	"hydrant/internal/demo"
	"hydrant/internal/vfs"
)

const (
	demoStream = "demo"
	demoBucket = "lake"
	demoPrefix = "demo/"

	demoInterval  = 2 * time.Second  // of the demo stream's buffer
	demoEvents    = 200              // sent at first
	demoPatience  = 30 * time.Second // for their delivery
	trickleEvery  = time.Second
	trickleEvents = 5
	scanEvery     = 100 * time.Millisecond
	stopTimeout   = 15 * time.Second
)

func newQuickstart() *cobra.Command {
	q := &quickstart{stopWithin: stopTimeout}
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "See it work: everything embedded, sample events in, objects out",
		Long: `See it work: starts a daemon with a demo stream and a local object store, sends sample web events over the Firehose API
and over plain HTTP, waits until they are delivered, checks that each arrived exactly once and shows the objects.

Goes on sending until Ctrl-C; with --once it ends after the first verified delivery. The data folder stays.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal ends the process at once
			q.out = cmd.OutOrStdout()
			q.logger = newLogger(config.Logging{Format: "text", Level: "warn"}, cmd.ErrOrStderr())
			tuneMemory(os.LookupEnv)
			return q.run(ctx)
		},
	}
	cmd.Flags().BoolVar(&q.once, "once", false, "end after the first verified delivery")
	cmd.Flags().StringVar(&q.dataDir, "data-dir", config.Default().DataDir, "`FOLDER` of the log and the objects")
	return cmd
}

// quickstart is one run of the demonstration.
type quickstart struct {
	once       bool
	dataDir    string
	stopWithin time.Duration // for what is left to be delivered at the end
	out        io.Writer
	logger     *slog.Logger

	server *daemon.Server
	source *demo.Source
	sender *demoSender
	watch  *demo.Watcher
	shown  int // objects
}

func (q *quickstart) say(format string, args ...any) { fmt.Fprintf(q.out, format+"\n", args...) }

// run starts, demonstrates and stops. What goes wrong is an error, and so is an event that is not there exactly once at the end.
func (q *quickstart) run(ctx context.Context) error {
	if err := q.start(ctx); err != nil {
		return err
	}
	err := q.demonstrate(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.stopWithin)
	defer cancel()
	if serr := q.server.Stop(stop); err == nil {
		err = serr
	}
	if errors.Is(err, context.Canceled) {
		q.say("\nInterrupted.")
		err = nil
	}
	if err != nil {
		return err
	}
	return q.verdict()
}

// verdict counts after the daemon delivered what was left.
func (q *quickstart) verdict() error {
	objects, err := q.watch.Scan()
	if err != nil {
		return err
	}
	q.shown += len(objects)
	if err := q.watch.Check(q.source.Sent()); err != nil {
		return fmt.Errorf("%w; what was not delivered is in the log of %s, and `hydrant quickstart` delivers it", err, q.dataDir)
	}
	q.say("\nVerified: %s sent, every one of them delivered exactly once, in %s.", count(q.source.Sent(), "event"), count(q.shown, "object"))
	return nil
}

func (q *quickstart) start(ctx context.Context) error {
	c := q.config()
	var err error
	if q.server, err = q.listen(c); err != nil {
		var locked *vfs.LockedError
		if errors.As(err, &locked) {
			return fmt.Errorf("%w; stop it, or choose another folder with --data-dir", err)
		}
		return err
	}
	q.source = demo.NewSource()
	q.watch, err = demo.NewWatcher(filepath.Join(q.dataDir, "s3", demoBucket), q.source.Run())
	if err == nil {
		q.sender = newDemoSender("http://"+q.server.Addr(), demoStream)
	} else {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.stopWithin)
		defer cancel()
		return errors.Join(err, q.server.Stop(stop))
	}
	q.say("Hydrant %s: records on http://%s, admin on http://%s, data in %s", versionText(), q.server.Addr(), q.server.AdminAddr(), q.dataDir)
	q.say("Stream %q delivers newline JSON to bucket %q, a folder here, every %s.", demoStream, demoBucket, demoInterval)
	return nil
}

// config is the default with one stream, on the usual ports or, where those are taken, on free ones.
func (q *quickstart) config() *config.Config {
	c := config.Default()
	c.DataDir = q.dataDir
	s := config.Stream{
		Name: demoStream, Format: config.FormatJSON, Compression: config.CompressionNone,
		Buffer:      config.Buffer{Size: config.MB, Interval: config.Duration(demoInterval)},
		Destination: config.Destination{S3: &config.S3{Bucket: demoBucket, Prefix: demoPrefix}},
	}
	s.Normalize()
	c.Streams = []config.Stream{s}
	for _, addr := range []*string{&c.Listen, &c.Admin} {
		if taken(*addr) {
			q.say("%s is taken: using a free port instead.", *addr)
			*addr = freePort
		}
	}
	return c
}

// freePort lets the system choose.
const freePort = "127.0.0.1:0"

func taken(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		err = l.Close()
	}
	return errors.Is(err, syscall.EADDRINUSE)
}

// listen starts the daemon. A port that somebody took since it was looked at is no reason to give up.
func (q *quickstart) listen(c *config.Config) (*daemon.Server, error) {
	if err := errors.Join(c.Check()...); err != nil {
		return nil, configError{err}
	}
	s, err := daemon.Listen(daemon.Options{Config: c, Logger: q.logger})
	if errors.Is(err, syscall.EADDRINUSE) {
		c.Listen, c.Admin = freePort, freePort
		s, err = daemon.Listen(daemon.Options{Config: c, Logger: q.logger})
	}
	return s, err
}

func (q *quickstart) demonstrate(ctx context.Context) error {
	if err := q.send(ctx, demoEvents); err != nil {
		return err
	}
	q.say("\nSent %s, half by PutRecordBatch, half as NDJSON; every one was on disk before it was acknowledged.", count(q.source.Sent(), "event"))
	if err := q.await(ctx); err != nil {
		return err
	}
	if err := q.watch.Check(q.source.Sent()); err != nil {
		return err
	}
	printNext(q.out, q.server.Addr(), q.once)
	if q.once {
		return nil
	}
	return q.trickle(ctx)
}

// send sends n new events, half of them each way. It is not interrupted: of an event half sent nobody could say whether it must arrive.
func (q *quickstart) send(ctx context.Context, n int) error {
	ctx = context.WithoutCancel(ctx)
	lines, err := q.source.Lines(n, time.Now())
	if err != nil {
		return err
	}
	if err := q.sender.batch(ctx, lines[:n/2]); err != nil {
		return err
	}
	return q.sender.ndjson(ctx, lines[n/2:])
}

// await shows objects as they land, until all events are in them.
func (q *quickstart) await(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		if err := q.scan(true); err != nil {
			return err
		}
		sent := q.source.Sent()
		if q.watch.Complete(sent) {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-q.server.Failed():
			return err
		case <-patience.Done():
			if err := ctx.Err(); err != nil {
				return err
			}
			return fmt.Errorf("%d of %s were not delivered within %s; see http://%s/readyz", q.watch.Missing(sent), count(sent, "event"), demoPatience, q.server.AdminAddr())
		}
	}
}

// scan shows the objects that are new.
func (q *quickstart) scan(lines bool) error {
	objects, err := q.watch.Scan()
	for _, o := range objects {
		q.shown++
		q.say("\n%s  (%s, %s)", o.Path, count(o.Bytes, "byte"), count(o.Events, "event"))
		if !lines {
			continue
		}
		for _, l := range o.Lines {
			q.say("  %s", l)
		}
	}
	return err
}

// trickle goes on sending until it is interrupted.
func (q *quickstart) trickle(ctx context.Context) error {
	q.say("\nSending %d events a second until Ctrl-C.", trickleEvents)
	tick := time.NewTicker(trickleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-q.server.Failed():
			return err
		case <-tick.C:
		}
		if err := q.send(ctx, trickleEvents); err != nil {
			return err
		}
		if err := q.scan(false); err != nil {
			return err
		}
	}
}
