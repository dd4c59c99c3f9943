package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hydrant/config"
)

const tokenEnv = "HYDRANT_TOKEN"

// manifests is the part of a key that Redshift's manifests have: they list objects and hold no records.
const manifests = "errors/manifests/"

const replayLong = `Send the records of error objects to a stream again: the lines under an error prefix, written by Hydrant or by Amazon Data
Firehose. BUCKET/PREFIX is looked for in S3, or with --data-dir in the folders of a daemon that runs with object_store: file.

Each record is taken once, however often its object is sent: a second run adds nothing, and one that was interrupted is finished
by another. Records keep the identity that they had when they were first accepted. Objects are left where they are.

Manifests of Redshift loads (errors/manifests/) are skipped: they name objects for COPY ... MANIFEST.`

func newReplayErrors() *cobra.Command {
	r := &replayer{codes: map[string]int64{}}
	cmd := &cobra.Command{
		Use:   "replay-errors BUCKET/PREFIX",
		Short: "Send the records of error objects to a stream again, each once",
		Long:  replayLong,
		Example: "  hydrant replay-errors lake/failed/orders/ --stream orders --dry-run\n" +
			"  hydrant replay-errors lake/failed/orders/ --stream orders --data-dir hydrant-data --type processing-failed",
		Args: argsNamed(1, 1, "BUCKET/PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			r.out, r.err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return r.run(ctx, args[0])
		},
	}
	r.at.add(cmd)
	f := cmd.Flags()
	f.StringVar(&r.stream, "stream", "", "`STREAM` that takes the records")
	f.BoolVar(&r.dryRun, "dry-run", false, "count the records by error code and send nothing")
	f.StringVar(&r.s3.endpoint, "s3-endpoint", "", "`URL` of a store that is compatible with S3 (default: the SDK's)")
	f.StringVar(&r.s3.region, "region", "", "of the bucket (default: the SDK's, else "+defaultRegion+")")
	f.StringVar(&r.dataDir, "data-dir", "", "read the local buckets of this data `DIR` in place of S3")
	f.StringVar(&r.only, "type", "", "only objects of this error `TYPE`, such as processing-failed")
	f.StringVar(&r.token, "token", "", "the daemon's `TOKEN`, file:PATH or ${NAME} (default $"+tokenEnv+")")
	f.DurationVar(&r.retryFor, "retry-for", time.Minute, "how long a request is tried again while the daemon refuses it")
	return cmd
}

// replayer goes through objects one after the other.
type replayer struct {
	at       endpointFlag
	s3       s3Flags
	stream   string
	only     string
	dataDir  string
	token    string
	dryRun   bool
	retryFor time.Duration
	out, err io.Writer

	objects, bad, manifests     int64
	records, accepted, repeated int64
	codes                       map[string]int64
}

func (r *replayer) run(ctx context.Context, where string) error {
	bucket, prefix, ok := strings.Cut(strings.TrimPrefix(where, "s3://"), "/")
	if bucket == "" || !ok {
		return usagef("%q names no objects; write BUCKET/PREFIX", where)
	}
	if r.stream == "" && !r.dryRun {
		return usagef("--stream is missing; name the stream that takes the records")
	}
	to, err := r.target()
	if err != nil {
		return err
	}
	from, err := r.source(ctx, bucket)
	if err != nil {
		return err
	}
	err = from.list(ctx, prefix, func(key string) error { return r.object(ctx, from, to, key) })
	r.report()
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; run it again to go on, what was accepted is not taken twice")
	case err != nil:
		return err
	case r.bad > 0:
		return fmt.Errorf("%s could not be read as error records", count(r.bad, "object"))
	}
	return nil
}

func (r *replayer) source(ctx context.Context, bucket string) (errorObjects, error) {
	if r.dataDir != "" {
		return openFolder(r.dataDir, bucket)
	}
	return r.s3.open(ctx, bucket)
}

// target is the endpoint; nil with --dry-run.
func (r *replayer) target() (*errorTarget, error) {
	if r.dryRun {
		return nil, nil
	}
	endpoint, err := r.at.url()
	if err != nil {
		return nil, err
	}
	secret := r.token
	if secret == "" {
		secret = os.Getenv(tokenEnv)
	}
	token, err := config.Secret(secret).Reveal()
	if err != nil {
		return nil, configError{fmt.Errorf("--token: %w", err)}
	}
	return newErrorTarget(endpoint, r.stream, token, r.retryFor), nil
}

// object sends one object. The error ends all; an object that cannot be read is told and counted.
func (r *replayer) object(ctx context.Context, from errorObjects, to *errorTarget, key string) error {
	switch {
	case strings.Contains(key, manifests):
		r.manifests++
		return nil
	case r.only != "" && !strings.Contains(key, r.only):
		return nil
	}
	before := *r
	err := r.read(ctx, from, to, key)
	var bad *badObject
	switch {
	case errors.As(err, &bad):
		r.bad++
		fmt.Fprintf(r.err, "%s: %s\n", key, bad.why)
	case err != nil:
		return fmt.Errorf("%s: %w", key, err)
	default:
		r.objects++
	}
	if n := r.records - before.records; r.dryRun && n > 0 {
		fmt.Fprintf(r.out, "%s: %s\n", key, count(n, "record"))
	} else if n > 0 {
		fmt.Fprintf(r.out, "%s: %d accepted, %d repeated\n", key, r.accepted-before.accepted, r.repeated-before.repeated)
	}
	return nil
}

func (r *replayer) read(ctx context.Context, from errorObjects, to *errorTarget, key string) error {
	body, err := from.open(ctx, key)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer body.Close()
	return eachPart(ctx, body, func(p *errorPart) error {
		if to == nil {
			r.count(p)
			return nil
		}
		answer, err := to.send(ctx, p.lines.Bytes())
		if err != nil {
			return err
		}
		r.count(p)
		r.accepted += answer.Accepted
		r.repeated += answer.Repeated
		return nil
	})
}

func (r *replayer) count(p *errorPart) {
	r.records += p.records
	for code, n := range p.codes {
		r.codes[code] += n
	}
}

func (r *replayer) report() {
	if r.manifests > 0 {
		fmt.Fprintf(r.err, "%s skipped: give it to COPY ... MANIFEST, it names objects that Redshift did not load\n", count(r.manifests, "manifest"))
	}
	if !r.dryRun {
		fmt.Fprintf(r.out, "%s: %d accepted, %d repeated by stream %s\n", count(r.objects, "object"), r.accepted, r.repeated, r.stream)
		return
	}
	for _, code := range byCount(r.codes) {
		fmt.Fprintf(r.out, "%9d  %s\n", r.codes[code], code)
	}
	fmt.Fprintf(r.out, "%s with %s; nothing was sent\n", count(r.objects, "object"), count(r.records, "record"))
}
