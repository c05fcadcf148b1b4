// Command e2e runs the conformance suite for memcached on persistent memory,
// reports the verdict, and has the tools around it: reports of earlier runs,
// the load generator and the embedded lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	_ "pmem-memcached-e2e/e2e" // the specs
	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/lab"
)

func main() {
	lab.RunProgram()
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// execute returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(cli.Arguments(root, withDefault(args)))
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	code := cli.ExitUsage
	if exit, ok := errors.AsType[*cli.ExitError](err); ok {
		code = exit.Code
		if exit.Err == nil {
			return code
		}
	}
	fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	return code
}
