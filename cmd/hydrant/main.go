// Command hydrant is the daemon and its tools, one file a subcommand. It holds flags, signals and words for
// people; what a room of the house does is the daemon's business.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// The exit codes; the root help tells users what they mean.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// suggestWithin is how many letters a word may be away from the command that it is taken for.
const suggestWithin = 2

// usageError is a command line that cannot be used.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// configError is a configuration that cannot be used.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// usagef makes a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// streamsIO are what a command reads and writes. Results go to out, all else to err.
type streamsIO struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	os.Exit(execute(context.Background(), streamsIO{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, ios streamsIO, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(ios.in)
	root.SetOut(ios.out)
	root.SetErr(ios.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(ios.err, "hydrant: "+err.Error())
	var usage usageError
	var settings configError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(ios.err, "See: %s --help\n", cmd.CommandPath())
		return exitUsage
	case errors.As(err, &settings):
		return exitUsage
	}
	return exitFailed
}

const rootLong = `Hydrant takes records over the Amazon Data Firehose API and plain HTTP, keeps them safe on
disk and delivers them in batches to S3 or to local folders.

Exit codes: 0 success, 1 failure, 2 wrong usage or a configuration that cannot be used.`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "hydrant",
		Short:         "A Firehose you can run yourself",
		Long:          rootLong,
		Example:       "  hydrant quickstart\n  hydrant run --config hydrant.yml",
		Args:          noSubcommand,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SuggestionsMinimumDistance = suggestWithin
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.AddCommand(newRun(), newQuickstart(), newValidate(), newTransform(), newStreams(), newDescribe(), newPut(), newReplayErrors(), newBench(), newLog(), newVersion())
	return root
}
