package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/kind/host"
	"pmem-memcached-e2e/framework/progress"
)

func newKindCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kind", Short: "The kind cluster of PROVIDER=kind: what this machine lacks, removal"}
	cli.Group(cmd)
	check := &cobra.Command{
		Use: "check [--SETTING VALUE]...", Short: "Check whether this machine can have a kind cluster with persistent memory", Args: cli.NoArguments,
		Long: `Check whether this machine can have a kind cluster with persistent memory, as a run with
PROVIDER=kind does beforehand. What is missing is reported with its remedy, and the exit code is 3
then. Without persistent memory that is the argument memmap= that fits this machine's memory.
Nothing is changed. "e2e help settings" lists the settings.`,
		RunE: checkKind,
	}
	down := &cobra.Command{
		Use: "down [--SETTING VALUE]...", Short: "Remove the kind cluster that a run has left", Args: cli.NoArguments,
		Long: `Remove the kind cluster that a run has left because of KEEP_CLUSTER=1 or because it was killed,
and make the persistent memory that it used what it was before. A cluster that the suite has not
made is left alone. "e2e help settings" lists the settings.`,
		RunE: removeKind,
	}
	for _, c := range []*cobra.Command{check, down} {
		config.Flags(c.Flags(), config.KindGroup, config.Strictness)
		c.DisableFlagsInUseLine = true
		c.SetUsageTemplate(settingsUsage)
		cmd.AddCommand(c)
	}
	cmd.AddCommand(newKindTest())
	return cmd
}

// kindSettings are those of the settings that are kind's.
func kindSettings(cmd *cobra.Command) (config.Config, home, error) {
	h, err := findHome()
	if err != nil {
		return config.Config{}, h, err
	}
	c, err := h.load(cmd.Flags(), os.Getenv)
	return c, h, err
}

func checkKind(cmd *cobra.Command, _ []string) error {
	c, _, err := kindSettings(cmd)
	if err != nil {
		return err
	}
	found, err := host.This().Read(cmd.Context(), c.Kind.Engine)
	if err != nil {
		return err
	}
	if err := problems(found, c.Kind.PMEM); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "engine   %s %s\nkernel   %s\nmemory   %d MiB available\n", found.Engine.Name, found.Engine.Version, found.Kernel, found.Memory>>20)
	for _, r := range found.Regions {
		fmt.Fprintf(out, "pmem     %s, %d MiB\n", r.Name, r.Size>>20)
	}
	fmt.Fprintf(out, "fit      make e2e PROVIDER=kind KIND_PMEM=%s\n", c.Kind.PMEM)
	return nil
}

func removeKind(cmd *cobra.Command, _ []string) error {
	c, h, err := kindSettings(cmd)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	p := &kindProvider{relay: newRelay(), config: c, home: h}
	p.out = progress.Lines(cmd.OutOrStdout())
	engine := c.Kind.Engine
	if engine == "" {
		found, err := host.This().Read(ctx, "")
		if err != nil {
			return err
		}
		engine = found.Engine.Name
	}
	if p.cluster, err = p.newCluster(engine); err != nil {
		return err
	}
	if !p.cluster.Made() {
		fmt.Fprintf(cmd.OutOrStdout(), "kind     the suite has made no cluster %s\n", c.Kind.ClusterName())
		return nil
	}
	return interrupted(ctx, p.cluster.Down(ctx))
}
