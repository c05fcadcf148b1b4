package labcmd

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"

	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/upstream"
)

func newVersions() *cobra.Command {
	return &cobra.Command{
		Use: "versions", Short: "Compare pinned versions with the newest ones", Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLab(cmd, func(ctx context.Context, l *lab.Lab) error {
				releases := upstream.Ask(ctx, l.SourceDir())
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				writeReleases(cmd.OutOrStdout(), releases)
				return nil
			})
		},
	}
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
