package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/report"
)

// exitCheckFailed is that of preflight when a check failed.
const exitCheckFailed = 1

func newPreflight() *cobra.Command {
	cmd := &cobra.Command{
		Use: "preflight [--output table|yaml] [--SETTING VALUE]...", Short: "Check whether the cluster has what the specs need", Args: cli.NoArguments,
		Long: `Check whether the cluster has what the selected specs need, as a run does before its specs. The
cluster is an existing one or a lab that is up. The exit code is 1 when a check failed.
"e2e help settings" lists the settings.`,
	}
	form := outputFlag(cmd, asTable, asYAML)
	settingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		found, err := inspected(cmd, true)
		if err != nil {
			return err
		}
		if *form == asYAML {
			err = writeYAML(cmd.OutOrStdout(), found.Checks)
		} else {
			err = writeTable(cmd.OutOrStdout(), checkRows(found.Checks))
		}
		if err == nil && slices.ContainsFunc(found.Checks, func(c report.Check) bool { return c.State == report.CheckFailed }) {
			return cli.Exit(exitCheckFailed)
		}
		return err
	}
	return cmd
}

func checkRows(checks []report.Check) [][]string {
	rows := [][]string{{"CHECK", "STATE", "TOOK", "SAW", "REMEDY"}}
	for _, c := range checks {
		rows = append(rows, []string{c.Name, string(c.State), fmt.Sprintf("%.1fs", c.Took.Seconds()), c.Saw, c.Remedy})
	}
	return rows
}
