package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

func newList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list [--output table|yaml|markdown] [--SETTING VALUE]...", Short: "List the specs, and which of them would run", Args: cli.NoArguments,
		Long: `List the specs, and which of them a run with the same settings would run. With --kubeconfig or
PROVIDER=existing the cluster is asked which of them are applicable; otherwise no cluster is needed.
"e2e help settings" lists the settings.`,
	}
	form := outputFlag(cmd, asTable, asYAML, asMarkdown)
	settingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		plan, err := planned(cmd)
		if err != nil {
			return err
		}
		return writePlan(cmd.OutOrStdout(), *form, plan)
	}
	return cmd
}

// planned asks the cluster if it is an existing one.
func planned(cmd *cobra.Command) ([]spec.Planned, error) {
	r, err := inspector(cmd)
	if err != nil {
		return nil, err
	}
	if r.Config.Cluster.Provider == config.Lab {
		return r.Planned()
	}
	found, err := inspect(cmd.Context(), r, false)
	return found.Plan, err
}

func writePlan(w io.Writer, form output, plan []spec.Planned) error {
	if form == asYAML {
		return writeYAML(w, listed(plan))
	}
	rows := [][]string{{"SPEC", "LEVEL", "MODE", "RUNS", "BUDGET", "TITLE"}}
	for _, s := range plan {
		runs := "yes"
		if s.Outcome != "" {
			runs = string(s.Outcome)
		}
		rows = append(rows, []string{s.ID, string(s.Level), string(s.Profile), runs, s.Budget.String(), s.Title})
	}
	if form == asMarkdown {
		return writeMarkdown(w, rows)
	}
	if err := writeTable(w, rows); err != nil {
		return err
	}
	c, err := spec.NewCatalogue(framework.Specs())
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, reasons(plan)+musts(c.Requirements, plan))
	return err
}

// musts counts the requirements that the specs which run examine, in each mode.
func musts(requirements []spec.Requirement, plan []spec.Planned) string {
	var b strings.Builder
	for _, mode := range spec.Profiles() {
		n := spec.PlannedPairs(requirements, plan, mode)
		fmt.Fprintf(&b, "%s: %d of %d MUSTs examined\n", mode, n.Examined, n.Stated)
	}
	return b.String()
}

// reasons are why specs do not run, each with how many they are.
func reasons(plan []spec.Planned) string {
	var order []string
	count, runs := map[string]int{}, 0
	for _, s := range plan {
		if s.Outcome == "" {
			runs++
			continue
		}
		reason := fmt.Sprintf("%s: %s", s.Outcome, s.Why)
		if count[reason]++; !slices.Contains(order, reason) {
			order = append(order, reason)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d of %d specs run\n", runs, len(plan))
	for _, reason := range order {
		fmt.Fprintf(&b, "%d %s\n", count[reason], reason)
	}
	return b.String()
}

// entry is a spec in YAML.
type entry struct {
	ID      string         `yaml:"id"`
	Title   string         `yaml:"title"`
	Level   spec.Level     `yaml:"level"`
	Mode    spec.Profile   `yaml:"mode"`
	Covers  []spec.ReqID   `yaml:"covers"`
	Needs   []spec.Feature `yaml:"needs,omitempty"`
	Tags    []string       `yaml:"tags,omitempty"`
	Budget  string         `yaml:"budget"`
	Runs    bool           `yaml:"runs"`
	Outcome spec.Outcome   `yaml:"outcome,omitempty"` // that a spec which does not run gets
	Why     string         `yaml:"why,omitempty"`
}

func listed(plan []spec.Planned) []entry {
	var entries []entry
	for _, s := range plan {
		entries = append(entries, entry{s.ID, s.Title, s.Level, s.Profile, s.Covers, s.Needs, s.Tags, s.Budget.String(), s.Outcome == "", s.Outcome, s.Why})
	}
	return entries
}
