package labcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/cache"
)

func newCache() *cobra.Command {
	cmd := onLab("cache", "List what was built for labs, longest unused first", cli.NoArguments, func(_ context.Context, l *lab.Lab, _ []string) error { return listCache(l, os.Stdout) })
	var flags pruneFlags
	prune := onLab("prune", "Remove what no lab and no chosen version needs", cli.NoArguments, func(_ context.Context, l *lab.Lab, _ []string) error {
		policy, err := flags.policy()
		if err != nil {
			return &cli.ExitError{Code: cli.ExitUsage, Err: err}
		}
		return prune(l, policy, flags.dryRun)
	})
	prune.Long = "Remove what neither a lab nor this checkout with the chosen versions needs, longest unused first."
	flags.register(prune.Flags())
	cmd.AddCommand(prune, newVerify())
	return cmd
}

func newVerify() *cobra.Command {
	rebuild := false
	cmd := onLab("verify", "Compare what was built with the digests recorded then", cli.NoArguments, func(ctx context.Context, l *lab.Lab, _ []string) error {
		return verify(ctx, l, rebuild, os.Stdout)
	})
	cmd.Long = "Compare what was built for labs with the digests that were recorded then. The exit code is 1\nwhen something is damaged; --rebuild removes it and what has no digests, and builds again what\nthis checkout needs."
	cmd.Flags().BoolVar(&rebuild, "rebuild", false, "replace what is damaged or has no digests")
	return cmd
}

func verify(ctx context.Context, l *lab.Lab, rebuild bool, w io.Writer) error {
	var whole, damaged, unknown int
	err := l.VerifyCache(ctx, rebuild, func(e artifact.Entry, err error) {
		state := "whole"
		switch {
		case errors.Is(err, artifact.ErrNoSums):
			state = artifact.ErrNoSums.Error()
			unknown++
		case err != nil:
			state = "damaged"
			damaged++
		default:
			whole++
		}
		fmt.Fprintf(w, "%-50s %s\n", e.Name, state)
		if damaged, ok := errors.AsType[*artifact.DamageError](err); ok {
			for _, line := range damaged.Found {
				fmt.Fprintf(w, "    %s\n", line)
			}
		}
	})
	fmt.Fprintf(w, "%d whole, %d damaged, %d without recorded digests\n", whole, damaged, unknown)
	if unknown > 0 && !rebuild {
		fmt.Fprintln(w, "what has no digests cannot be verified; --rebuild replaces it")
	}
	if err != nil {
		return &cli.ExitError{Code: exitFailed, Err: err}
	}
	return nil
}

type pruneFlags struct {
	keep, unused string
	dryRun       bool
}

func (f *pruneFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.keep, "keep", "", "size that the cache may have, such as 20Gi; instead of --unused")
	set.StringVar(&f.unused, "unused", "", "time since the last use of what is removed, such as 168h")
	set.BoolVar(&f.dryRun, "dry-run", false, "remove nothing, and say what would be removed")
}

// policy is what the flags ask for. Each value that it refuses is a
// config.FieldError.
func (f *pruneFlags) policy() (policy artifact.Policy, err error) {
	if f.keep != "" && f.unused != "" {
		return policy, &config.FieldError{Field: "--keep", Value: f.keep, Remedy: "give either this or --unused"}
	}
	if f.keep != "" {
		size, err := resource.ParseQuantity(f.keep)
		if err != nil || size.Sign() < 0 || size.Cmp(*resource.NewQuantity(size.Value(), size.Format)) != 0 {
			return policy, &config.FieldError{Field: "--keep", Value: f.keep, Remedy: "give the size that the cache may have in the form of Kubernetes, such as 20Gi or 500M"}
		}
		policy.Keep = size.Value()
	}
	if f.unused != "" {
		if policy.Unused, err = time.ParseDuration(f.unused); err != nil || policy.Unused < 0 {
			return policy, &config.FieldError{Field: "--unused", Value: f.unused, Remedy: "give the time since the last use of what is removed, such as 36h, or 168h for a week"}
		}
	}
	return policy, nil
}

func listCache(l *lab.Lab, w io.Writer) error {
	entries, err := l.Cache().List()
	if err != nil && !errors.Is(err, cache.ErrUnknownNeeds) {
		return &cli.ExitError{Code: exitFailed, Err: err}
	}
	writeEntries(w, entries, time.Now())
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e lab cache:", err)
	}
	return nil
}

func writeEntries(w io.Writer, entries []cache.Entry, now time.Time) {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ARTIFACT\tSIZE\tAGE\tLAST USE\tNEEDED BY")
	var total, free int64
	for _, e := range entries {
		by := strings.Join(e.NeededBy, ", ")
		total += e.Size
		if by == "" {
			by = "nothing"
			free += e.Size
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Name, size(e.Size), span(now.Sub(e.Made)), span(now.Sub(e.Used)), by)
	}
	table.Flush()
	fmt.Fprintf(w, "%d artifacts, %s, of which nothing needs %s\n", len(entries), size(total), size(free))
}

func prune(l *lab.Lab, policy artifact.Policy, dryRun bool) error {
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	var count int
	var freed int64
	left, err := l.Cache().Prune(policy, dryRun, func(e artifact.Entry) {
		count++
		freed += e.Size
		fmt.Printf("%s %s, %s, last used %s ago\n", verb, e.Name, size(e.Size), span(time.Since(e.Used)))
	})
	fmt.Printf("%s %d artifacts, %s\n", verb, count, size(freed))
	if err != nil {
		return &cli.ExitError{Code: exitFailed, Err: err}
	}
	if policy.Keep > 0 && left > policy.Keep {
		fmt.Printf("%s are more than --keep, and needed or in use\n", size(left))
	}
	return nil
}

// size writes bytes in a unit that a reader can compare.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}

// span writes a time in its largest unit.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
