package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// The checks of arguments. What they refuse is a usageError.

// noArgs refuses all arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, but was given %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// noSubcommand refuses arguments of a command that has only subcommands, and says which one may be meant.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("unknown command %q%s", args[0], hint)
}

// argsNamed takes the arguments that the names stand for, the first needed of them at least; more is the most there may be, 0 for no limit.
func argsNamed(needed, most int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		form := cmd.CommandPath() + strings.TrimPrefix(cmd.Use, cmd.Name())
		switch {
		case len(args) < needed:
			return usagef("%s is missing; write %s", names[len(args)], form)
		case most > 0 && len(args) > most:
			return usagef("%q is one argument too many; write %s", args[most], form)
		}
		return nil
	}
}
