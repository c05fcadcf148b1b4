package main

import (
	"bytes"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/cmd/e2e/internal/labcmd"
	"pmem-memcached-e2e/framework/config"
)

const rootHelp = `Conformance suite for memcached on persistent memory in Kubernetes.
Without a command e2e runs the suite: on the embedded lab, a kind cluster, or an existing one.

Exit codes of a run: 0 conformant or measured, 1 not conformant or worse than the baseline,
2 undetermined, 3 usage or configuration, 4 objects were left behind, 130 interrupted.`

// Groups of commands in the help.
const (
	groupRun    = "run"
	groupReport = "report"
	groupOther  = "other"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "e2e", Short: "Conformance suite for memcached on persistent memory", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true,
	}
	cli.Group(root)
	root.SetFlagErrorFunc(cli.FlagError)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Run the suite:"}, &cobra.Group{ID: groupReport, Title: "Reports:"}, &cobra.Group{ID: groupOther, Title: "Tools:"})
	for _, g := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{groupRun, []*cobra.Command{newRun(), newSmoke(), newBench(), newMatrix(), newMutation(), newList(), newExplain(), newPreflight(), newFacts()}},
		{groupReport, []*cobra.Command{newReport(), newBaseline()}},
		{groupOther, []*cobra.Command{labcmd.New(), newKindCommand(), newLoad(), newVersion()}},
	} {
		for _, cmd := range slices.DeleteFunc(g.commands, func(c *cobra.Command) bool { return c == nil }) {
			cmd.GroupID = g.id
			root.AddCommand(cmd)
		}
	}
	root.SetCompletionCommandGroupID(groupOther)
	root.SetHelpCommandGroupID(groupOther)
	root.AddCommand(newSpecs(), settingsTopic())
	return root
}

// settingsTopic is a help topic and not a command.
func settingsTopic() *cobra.Command {
	var b bytes.Buffer
	_ = config.Usage(&b) // a buffer takes everything
	return &cobra.Command{Use: "settings", Short: "The settings of a run: variables, and the flags that override them", Long: strings.TrimRight(b.String(), "\n")}
}

// withDefault puts the command run in front of args that name none.
func withDefault(args []string) []string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !slices.Contains([]string{"-h", "-help", "--help"}, args[0]) {
		return append([]string{"run"}, args...)
	}
	return args
}
