package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hydrant/config"
	"hydrant/internal/daemon"
	"hydrant/internal/vfs"
)

// runFlags override the configuration where they are given.
type runFlags struct {
	config, dataDir, listen, admin string
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon until SIGTERM or Ctrl-C",
		Long: `Run the daemon until SIGTERM or Ctrl-C.

The first signal refuses new records, delivers what waits until shutdown_timeout and keeps the rest in the log for the
next start. A second signal ends the delivery at once; nothing is lost by that either.

GOGC and GOMEMLIMIT are honoured.`,
		Args: runArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load(cmd)
			if err != nil {
				return err
			}
			tuneMemory(os.LookupEnv)
			return serve(cmd.Context(), c, newLogger(c.Log, cmd.ErrOrStderr()), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration `FILE`; without one, streams are made by the API")
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "", "`FOLDER` of logs and state (default ./hydrant-data)")
	cmd.Flags().StringVar(&f.listen, "listen", "", "`ADDRESS` for records and the API (default 127.0.0.1:4573)")
	cmd.Flags().StringVar(&f.admin, "admin", "", "`ADDRESS` for metrics and health (default 127.0.0.1:4574)")
	return cmd
}

// runArgs refuses all arguments; one alone is most likely the configuration.
func runArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return usagef("%s takes no arguments; did you mean --config %s?", cmd.CommandPath(), args[0])
	}
	return noArgs(cmd, args)
}

// load reads the configuration and checks it again with the flags in it.
func (f *runFlags) load(cmd *cobra.Command) (*config.Config, error) {
	c := config.Default()
	if cmd.Flags().Changed("config") {
		var err error
		if c, err = config.Load(f.config); err != nil {
			return nil, configError{fmt.Errorf("the configuration cannot be used:\n%w", err)}
		}
	}
	for _, o := range []struct {
		flag, value string
		field       *string
	}{{"data-dir", f.dataDir, &c.DataDir}, {"listen", f.listen, &c.Listen}, {"admin", f.admin, &c.Admin}} {
		if cmd.Flags().Changed(o.flag) {
			*o.field = o.value
		}
	}
	if err := errors.Join(c.Check()...); err != nil {
		return nil, configError{fmt.Errorf("the configuration cannot be used with these flags:\n%w", err)}
	}
	return c, nil
}

func newLogger(l config.Logging, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil { // the configuration was checked
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// serve runs a daemon until a signal, until ctx ends or until it fails, then stops it in two stages.
func serve(ctx context.Context, c *config.Config, logger *slog.Logger, out io.Writer) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	s, err := daemon.Listen(daemon.Options{Config: c, Logger: logger})
	if err != nil {
		return explainStart(err)
	}
	sayReady(ctx, c, s, logger, out)
	var failure error
	select {
	case sig := <-signals:
		logger.Info("stopping: puts are refused, what waits is delivered; a second signal stops at once",
			"signal", sig.String(), "timeout", time.Duration(c.ShutdownTimeout).String())
	case <-ctx.Done():
	case failure = <-s.Failed():
		logger.Error("a port stopped serving; the daemon stops", "err", failure)
	}
	return errors.Join(failure, stopServer(s, signals, time.Duration(c.ShutdownTimeout), logger))
}

// explainStart says what to do next about a start that failed.
func explainStart(err error) error {
	var locked *vfs.LockedError
	var field *config.FieldError
	switch {
	case errors.As(err, &locked):
		return fmt.Errorf("%w; stop it, or choose another folder with --data-dir", err)
	case errors.As(err, &field): // what could only be checked with the disk at hand
		return configError{fmt.Errorf("the configuration cannot be used:\n%w", err)}
	}
	return err
}

// sayReady tells people on out and programs in the log. The file and the number of streams show a start with the wrong file, or with none.
func sayReady(ctx context.Context, c *config.Config, s *daemon.Server, logger *slog.Logger, out io.Writer) {
	names, _, err := s.List(ctx, "", math.MaxInt)
	if err != nil {
		logger.Warn("the streams cannot be counted", "err", err)
	}
	file := "no configuration file"
	if c.File != "" {
		file = "configuration " + c.File
	}
	if c.WritesStdout() {
		out = io.Discard // it belongs to the records
	}
	fmt.Fprintf(out, "hydrant %s is ready: records on http://%s, admin on http://%s, data in %s, %s, %s\n",
		versionText(), s.Addr(), s.AdminAddr(), c.DataDir, file, count(len(names), "stream"))
	logger.Info("ready", "version", versionText(), "listen", s.Addr(), "admin", s.AdminAddr(), "data_dir", c.DataDir, "config", c.File, "streams", len(names))
}

// stopServer drains until the timeout or the next signal. A signal after that one ends the process, as if nobody listened.
func stopServer(s *daemon.Server, signals chan os.Signal, timeout time.Duration, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(ctx) }()
	for {
		select {
		case err := <-stopped:
			if err == nil {
				logger.Info("stopped")
			}
			return err
		case sig := <-signals:
			logger.Warn("stopping at once; what was not delivered stays in the log", "signal", sig.String())
			cancel()
			signal.Stop(signals)
		}
	}
}
