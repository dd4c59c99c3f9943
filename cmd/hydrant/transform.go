package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"hydrant/config"
	"hydrant/internal/daemon"
)

// maxToldFailures is how many records that failed are named.
const maxToldFailures = 20

func newTransform() *cobra.Command {
	var file, stream string
	cmd := &cobra.Command{
		Use:   "transform --config FILE [--stream NAME] < RECORDS",
		Short: "Try a stream's processors: lines in, lines out; delivers nothing",
		Long: `Try a stream's processors and its format: each line of standard input is a record, each line of standard output one that would
be delivered. How many records each processor was given, made and set aside goes to standard error, with the reasons.

Nothing is stored or delivered; a lambda is really asked. The exit code is 1 when a record would be set aside.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(file)
			if err != nil {
				return configError{err}
			}
			logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			t, err := daemon.Try(cmd.Context(), c, stream, cmd.InOrStdin(), cmd.OutOrStdout(), logger)
			if t != nil {
				tellTrial(cmd.ErrOrStderr(), t)
			}
			if err == nil && len(t.Failures) > 0 {
				err = fmt.Errorf("%s would be set aside", count(len(t.Failures), "record"))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "hydrant.yml", "configuration `FILE`")
	cmd.Flags().StringVar(&stream, "stream", "", "the stream's `NAME`; not needed when there is one")
	return cmd
}

// tellTrial prints the counts as a table, and what failed.
func tellTrial(w io.Writer, t *daemon.Trial) {
	for i, f := range t.Failures {
		if i == maxToldFailures {
			fmt.Fprintf(w, "and %d more\n", len(t.Failures)-i)
			break
		}
		fmt.Fprintf(w, "record %d: %s: %s\n", f.Record, f.Code, f.Message)
	}
	fmt.Fprintf(w, "%-16s %10s %10s %10s\n", "processor", "in", "out", "failed")
	for _, s := range t.Steps {
		fmt.Fprintf(w, "%-16s %10d %10d %10d\n", s.Name, s.In, s.Out, s.Failed)
	}
	fmt.Fprintf(w, "%-16s %10d %10d %10d\n", "all", t.Records, t.Out, len(t.Failures))
}
