package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"hydrant/internal/loadgen"
)

// benchFlags is one command line of bench.
type benchFlags struct {
	at                   endpointFlag
	load                 loadgen.Options
	sign, create, asJSON bool
}

func newBench() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "bench --stream STREAM",
		Short: "Send as fast as a daemon accepts; print rate and latency",
		Long: `Send log events of about 20 fields as fast as a daemon accepts them, each connection one request after the other, and
print the rate of accepted records and the latency of their acknowledgements. The events become part of the stream.

A 503 is counted and waited out. The exit code is 1 when nothing was accepted or when requests failed otherwise.`,
		Example: "  hydrant bench --stream load --create --mode ndjson --connections 16",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return f.run(ctx, cmd)
		},
	}
	f.at.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.load.Stream, "stream", "", "`STREAM` to send to")
	flags.StringVar(&f.load.Mode, "mode", loadgen.ModeBatch, "ndjson (POST of lines), batch (PutRecordBatch) or put (PutRecord)")
	flags.IntVar(&f.load.Connections, "connections", 16, "connections, each with one request at a time")
	flags.IntVar(&f.load.Batch, "batch", 500, "records a request; 1 with --mode put")
	flags.IntVar(&f.load.RecordBytes, "record-bytes", 670, "mean size of a record")
	flags.DurationVar(&f.load.Duration, "duration", 10*time.Second, "how long; without a limit when only --records is given")
	flags.Int64Var(&f.load.Records, "records", 0, "stop after so many records, rounded up to whole requests")
	flags.BoolVar(&f.load.Gzip, "gzip", false, "send bodies with Content-Encoding: gzip")
	flags.Uint64Var(&f.load.Seed, "seed", 0, "of the events; 0 draws one")
	flags.BoolVar(&f.sign, "sign", false, "sign requests (SigV4) with this shell's AWS credentials")
	flags.BoolVar(&f.create, "create", false, "make the stream when it is missing, into the bucket bench")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *benchFlags) run(ctx context.Context, cmd *cobra.Command) error {
	if err := f.complete(ctx, cmd); err != nil {
		return err
	}
	if f.create {
		if err := createBenchStream(ctx, f.load.Endpoint, f.load.Stream); err != nil {
			return err
		}
	}
	result, err := loadgen.Run(ctx, f.load)
	if result == nil || err != nil && result.Requests == 0 {
		return explainLoad(f.load.Endpoint, err)
	}
	rep := newReport(&f.load, result)
	if perr := rep.print(cmd.OutOrStdout(), f.asJSON); perr != nil {
		return perr
	}
	if err != nil {
		return explainLoad(f.load.Endpoint, err)
	}
	return rep.verdict()
}

// complete fills in what follows from other flags.
func (f *benchFlags) complete(ctx context.Context, cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	if f.load.Mode == loadgen.ModePut && !changed("batch") {
		f.load.Batch = 1
	}
	if changed("records") && !changed("duration") {
		f.load.Duration = 0
	}
	if f.load.Seed == 0 {
		f.load.Seed = rand.Uint64()
	}
	var err error
	if f.load.Endpoint, err = f.at.url(); err != nil {
		return err
	}
	if err := f.load.Check(); err != nil {
		return usageError{err}
	}
	if !f.sign {
		return nil
	}
	if f.load.Mode == loadgen.ModeNDJSON {
		return usagef("--sign is for --mode batch and put; /v1 takes no signatures")
	}
	f.load.Sign, err = newSigner(ctx, &f.load)
	return err
}

// explainLoad says what to do next about what ended a run.
func explainLoad(endpoint string, err error) error {
	var refused *loadgen.RefusedError
	switch {
	case notSent(err):
		return explain(endpoint, err)
	case errors.As(err, &refused):
		return fmt.Errorf("%w; if the stream is missing, --create makes it", err)
	}
	return err
}

// report is a result as it is printed; the JSON names are a promise.
type report struct {
	Mode        string           `json:"mode"`
	Connections int              `json:"connections"`
	Batch       int              `json:"batch"`
	RecordBytes float64          `json:"record_bytes"` // mean of what was accepted
	Gzip        bool             `json:"gzip"`
	Signed      bool             `json:"signed"`
	Seed        uint64           `json:"seed"`
	Requests    int64            `json:"requests"`
	Records     int64            `json:"records"`
	Bytes       int64            `json:"bytes"`
	Seconds     float64          `json:"seconds"`
	RecordRate  float64          `json:"records_per_second"`
	MBRate      float64          `json:"mb_per_second"` // 10^6 bytes of records
	AckMillis   ackMillis        `json:"ack_ms"`
	Errors      map[string]int64 `json:"errors"`
	CPUSeconds  float64          `json:"generator_cpu_seconds"`
}

type ackMillis struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func newReport(o *loadgen.Options, r *loadgen.Result) *report {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	seconds := max(r.Elapsed.Seconds(), 1e-9)
	return &report{
		Mode: o.Mode, Connections: o.Connections, Batch: o.Batch, RecordBytes: float64(r.Bytes) / float64(max(r.Records, 1)),
		Gzip: o.Gzip, Signed: o.Sign != nil, Seed: o.Seed, Requests: r.Requests, Records: r.Records, Bytes: r.Bytes,
		Seconds: r.Elapsed.Seconds(), RecordRate: float64(r.Records) / seconds, MBRate: float64(r.Bytes) / 1e6 / seconds,
		AckMillis: ackMillis{ms(r.Latency.Quantile(0.5)), ms(r.Latency.Quantile(0.9)), ms(r.Latency.Quantile(0.99)), ms(r.Latency.Max())},
		Errors:    r.Errors, CPUSeconds: r.CPU.Seconds(),
	}
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	extra := ""
	if r.Gzip {
		extra += ", gzip"
	}
	if r.Signed {
		extra += ", signed"
	}
	fmt.Fprintf(w, "%s, %d connections, %d records a request of %.0f bytes each%s\n", r.Mode, r.Connections, r.Batch, r.RecordBytes, extra)
	fmt.Fprintf(w, "accepted  %d records in %.1f s: %.0f records/s, %.1f MB/s, %.0f requests/s\n",
		r.Records, r.Seconds, r.RecordRate, r.MBRate, float64(r.Requests)/max(r.Seconds, 1e-9))
	fmt.Fprintf(w, "ack       p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n", r.AckMillis.P50, r.AckMillis.P90, r.AckMillis.P99, r.AckMillis.Max)
	fmt.Fprintf(w, "errors    %s\n", errorsText(r.Errors))
	_, err := fmt.Fprintf(w, "generator %.1f s CPU, seed %d\n", r.CPUSeconds, r.Seed)
	return err
}

func errorsText(errs map[string]int64) string {
	if len(errs) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(errs)) {
		parts = append(parts, fmt.Sprintf("%s: %d", k, errs[k]))
	}
	return strings.Join(parts, ", ")
}

// verdict is an error when the run measured no service: refusals by 503 are part of one.
func (r *report) verdict() error {
	for k, n := range r.Errors {
		if k != "503" {
			return fmt.Errorf("%s failed (%s)", count(n, "request"), k)
		}
	}
	if r.Records == 0 {
		return errors.New("no record was accepted; see the stream's state at /readyz of the admin port")
	}
	return nil
}
