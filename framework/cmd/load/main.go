// Command load is the load generator as a client that takes orders on standard
// input, see package load. It is small, so that it can be streamed into a pod.
//
//	load talk ADDRESS PATIENCE LIMIT REQUEST
//
// sends a request instead and prints what comes back until the end of the connection.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pmem-memcached-e2e/framework/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "load: %v\n", err)
		if errors.Is(err, load.ErrLookup) {
			os.Exit(load.LookupExit)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return load.Serve(ctx, os.Stdin, os.Stdout)
	}
	if args[0] != "talk" || len(args) != 5 {
		return fmt.Errorf("unexpected arguments %q; the only command is talk ADDRESS PATIENCE LIMIT REQUEST", args)
	}
	patience, err := time.ParseDuration(args[2])
	if err != nil {
		return fmt.Errorf("PATIENCE=%q: %w", args[2], err)
	}
	limit, err := time.ParseDuration(args[3])
	if err != nil {
		return fmt.Errorf("LIMIT=%q: %w", args[3], err)
	}
	limited, cancel := context.WithTimeout(ctx, patience+limit)
	defer cancel()
	return load.Talk(limited, args[1], args[4], patience, os.Stdout)
}
