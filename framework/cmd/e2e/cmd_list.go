package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/spec"
)

func newList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the specs", Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			specs := framework.Specs()
			slices.SortFunc(specs, func(a, b spec.Spec) int { return strings.Compare(a.ID, b.ID) })
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(table, "SPEC\tLEVEL\tPROFILE\tTITLE")
			for _, s := range specs {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.ID, s.Level, s.Profile, s.Title)
			}
			return table.Flush()
		},
	}
}
