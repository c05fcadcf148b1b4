package main

import (
	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/report"
)

func newFacts() *cobra.Command {
	cmd := &cobra.Command{
		Use: "facts [--output table|yaml] [--SETTING VALUE]...", Short: "Print the facts about the cluster", Args: cli.NoArguments,
		Long: `Print what a run reads about the cluster before its specs: versions, nodes, driver and
persistent memory, each with where it was read. The cluster is an existing one or a lab that is up.
"e2e help settings" lists the settings.`,
	}
	form := outputFlag(cmd, asTable, asYAML)
	settingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := inspected(cmd, false)
		if err != nil {
			return err
		}
		if *form == asYAML {
			return writeYAML(cmd.OutOrStdout(), found.Facts)
		}
		return writeTable(cmd.OutOrStdout(), factRows(found.Facts))
	}
	return cmd
}

func factRows(facts []report.Fact) [][]string {
	rows := [][]string{{"GROUP", "FACT", "VALUE", "EVIDENCE"}}
	for _, f := range facts {
		rows = append(rows, []string{f.Group, f.Name, f.Value, f.Evidence})
	}
	return rows
}
