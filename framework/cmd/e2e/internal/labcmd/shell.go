package labcmd

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/nodeshell"
)

// shell runs a command on a node and ends with its exit code. The command has a
// terminal if this one has.
func shell(ctx context.Context, l *lab.Lab, args []string) error {
	s := nodeshell.Session{Args: args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	run := l.Shell
	if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())) {
		run = func(ctx context.Context, node string, s nodeshell.Session) (int, error) {
			return onTerminal(ctx, l, node, s)
		}
	}
	code, err := run(ctx, args[0], s)
	if err != nil {
		return err
	}
	return cli.Exit(code)
}

// onTerminal gives the session a terminal like the one of this process, which
// passes on each key as it is, and is as before afterwards.
func onTerminal(ctx context.Context, l *lab.Lab, node string, s nodeshell.Session) (code int, err error) {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	sizes, stop := make(chan nodeshell.Size), make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-resized:
			case <-stop:
				return
			}
			select {
			case sizes <- terminalSize():
			case <-stop:
				return
			}
		}
	}()
	s.Terminal = &nodeshell.Terminal{Type: cmp.Or(os.Getenv("TERM"), "dumb"), Size: terminalSize(), Resized: sizes}
	in := int(os.Stdin.Fd())
	before, err := term.MakeRaw(in)
	if err != nil {
		return 0, fmt.Errorf("shell: the terminal: %w", err)
	}
	defer func() {
		if restoreErr := term.Restore(in, before); err == nil && restoreErr != nil {
			err = fmt.Errorf("shell: the terminal cannot be put back: %w", restoreErr)
		}
	}()
	return l.Shell(ctx, node, s)
}

// terminalSize is the zero value if it cannot be known.
func terminalSize() nodeshell.Size {
	columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return nodeshell.Size{}
	}
	return nodeshell.Size{Rows: uint16(rows), Columns: uint16(columns)}
}
