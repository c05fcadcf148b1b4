package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/upstream"
)

// versions compares what is pinned with what there is.
func versions(ctx context.Context, l *lab.Lab) int {
	releases := upstream.Ask(ctx, l.SourceDir())
	if ctx.Err() != nil {
		return exitInterrupted
	}
	writeReleases(os.Stdout, releases)
	return 0
}

func writeReleases(w io.Writer, releases []upstream.Release) {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "PROGRAM\tPINNED\tNEWEST PATCH\tNEWEST\tFROM")
	unasked := 0
	for _, r := range releases {
		if r.Err != nil {
			unasked++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Program, known(r.Pinned), known(r.Patch), known(r.Newest), r.From)
	}
	table.Flush()
	if unasked == 0 {
		return
	}
	fmt.Fprintf(w, "%d could not be asked:\n", unasked)
	for _, r := range releases {
		if r.Err != nil {
			fmt.Fprintf(w, "  %s: %v\n", r.From, r.Err)
		}
	}
}

func known(version string) string {
	if version == "" {
		return "-"
	}
	return version
}
