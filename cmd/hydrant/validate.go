package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hydrant/config"
)

func newValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check configuration files; starts and touches nothing",
		Long: `Check configuration files; starts and touches nothing.

Prints every problem as FILE:LINE:COLUMN: FIELD: what is wrong and what to write. ${NAME} is taken from this shell's
environment, as it would be at the start. The exit code is 2 when any file has a problem.`,
		Args: argsNamed(1, 0, "FILE"),
		RunE: func(cmd *cobra.Command, files []string) error {
			bad := 0
			for _, f := range files {
				c, err := config.Load(f)
				if err != nil {
					bad++
					fmt.Fprintln(cmd.OutOrStdout(), err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s\n", f, count(len(c.Streams), "stream"))
			}
			if bad > 0 {
				return configError{fmt.Errorf("%d of %s cannot be used", bad, count(len(files), "file"))}
			}
			return nil
		},
	}
}

// count is "1 file" or "2 files"; where an s is not enough, what is "singular|plural".
func count[T int | int64](n T, what string) string {
	one, many, given := strings.Cut(what, "|")
	if !given {
		many = one + "s"
	}
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
