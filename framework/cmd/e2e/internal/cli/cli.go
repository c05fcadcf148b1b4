// Package cli holds what the commands of the program have in common: exit
// codes, and the answer to unknown words.
package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/nearest"
	"pmem-memcached-e2e/framework/run"
)

// ExitUsage is the exit code of a command that was not called as it has to be,
// and of one that lacks something on this machine.
const ExitUsage = run.ExitUsage

// An ExitError ends the program with Code.
type ExitError struct {
	Code int
	Err  error // printed; nil: nothing is left to say
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the error itself.
func (e *ExitError) Unwrap() error { return e.Err }

// Exit returns an error that ends the program with code, nil for 0.
func Exit(code int) error {
	if code == 0 {
		return nil
	}
	return &ExitError{Code: code}
}

// Group has cmd print its help if it is called without a subcommand, and
// refuse words that name none.
func Group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return UnknownCommand(cmd, args[0])
		}
		return cmd.Help()
	}
}

// UnknownCommand is the error for a word that names no subcommand of cmd.
func UnknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if best := nearest.To(word, names); best != "" {
		return fmt.Errorf("unknown command %q; did you mean %q?", word, best)
	}
	return fmt.Errorf("unknown command %q; %s --help lists the commands", word, cmd.CommandPath())
}

// FlagError is the error for flags that cannot be parsed.
func FlagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	name := unknown.GetSpecifiedName()
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		name = short
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names = append(names, f.Name)
	})
	if best := nearest.To(name, names); best != "" {
		return fmt.Errorf("unknown flag --%s; did you mean --%s?", name, best)
	}
	return fmt.Errorf("unknown flag --%s; %s --help lists the flags", name, cmd.CommandPath())
}

// Arguments gives long flags of the command that args name their second
// hyphen, if they have only one.
func Arguments(root *cobra.Command, args []string) []string {
	var all []string
	cmd := root
	for i, arg := range args {
		if arg == "--" || cmd.DisableFlagParsing {
			return append(all, args[i:]...)
		}
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case len(arg) > 2 && arg[0] == '-' && arg[1] != '-' && (name == "help" || cmd.Flag(name) != nil):
			arg = "-" + arg
		case arg != "" && arg[0] != '-':
			for _, sub := range cmd.Commands() {
				if sub.Name() == arg {
					cmd = sub
				}
			}
		}
		all = append(all, arg)
	}
	return all
}

// NoArguments refuses everything that is not a flag.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q: no argument is expected besides flags; %s --help lists them", args[0], cmd.CommandPath())
	}
	return nil
}
