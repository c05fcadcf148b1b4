package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/artifact"
)

const cacheUsage = `usage: lab cache
         lists what is in the cache, what was not used for longest first
       lab cache prune [-keep SIZE | -unused DURATION] [-dry-run]
         removes what neither a lab nor this checkout with the chosen versions
         needs, what was not used for longest first
`

// onCache lists or prunes the cache.
func onCache(l *lab.Lab, args []string) int {
	switch {
	case len(args) == 0:
		return listCache(l, os.Stdout)
	case args[0] != "prune":
		fmt.Fprintf(os.Stderr, "lab cache: %q: give prune or nothing\n%s", args[0], cacheUsage)
		return exitUsage
	}
	policy, dryRun, err := parsePrune(args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(cacheUsage)
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab cache prune:", err)
		return exitUsage
	}
	return prune(l, policy, dryRun)
}

// parsePrune returns what the flags ask for. Each value that it refuses is a
// config.FieldError.
func parsePrune(args []string) (policy artifact.Policy, dryRun bool, err error) {
	flags := flag.NewFlagSet("prune", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	keep := flags.String("keep", "", "")
	unused := flags.String("unused", "", "")
	flags.BoolVar(&dryRun, "dry-run", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return policy, false, err
	} else if err != nil {
		return policy, false, fmt.Errorf("%w; there are -keep SIZE, -unused DURATION and -dry-run", err)
	}
	if flags.NArg() > 0 {
		return policy, false, fmt.Errorf("%q: no argument is expected beside the flags", flags.Arg(0))
	}
	if *keep != "" && *unused != "" {
		return policy, false, &config.FieldError{Field: "-keep", Value: *keep, Remedy: "give either this or -unused"}
	}
	if *keep != "" {
		size, err := resource.ParseQuantity(*keep)
		if err != nil || size.Sign() < 0 || size.Cmp(*resource.NewQuantity(size.Value(), size.Format)) != 0 {
			return policy, false, &config.FieldError{Field: "-keep", Value: *keep, Remedy: "give the size that the cache may have in the form of Kubernetes, such as 20Gi or 500M"}
		}
		policy.Keep = size.Value()
	}
	if *unused != "" {
		if policy.Unused, err = time.ParseDuration(*unused); err != nil || policy.Unused < 0 {
			return policy, false, &config.FieldError{Field: "-unused", Value: *unused, Remedy: "give the time since the last use of what is removed, such as 36h, or 168h for a week"}
		}
	}
	return policy, dryRun, nil
}

func listCache(l *lab.Lab, w io.Writer) int {
	entries, err := l.Cache()
	if err != nil && !errors.Is(err, lab.ErrUnknownNeeds) {
		fmt.Fprintln(os.Stderr, "lab cache:", err)
		return exitFailed
	}
	writeEntries(w, entries, time.Now())
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab cache:", err)
	}
	return 0
}

func writeEntries(w io.Writer, entries []lab.CacheEntry, now time.Time) {
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

func prune(l *lab.Lab, policy artifact.Policy, dryRun bool) int {
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	var count int
	var freed int64
	left, err := l.Prune(policy, dryRun, func(e artifact.Entry) {
		count++
		freed += e.Size
		fmt.Printf("%s %s, %s, last used %s ago\n", verb, e.Name, size(e.Size), span(time.Since(e.Used)))
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab cache prune:", err)
	}
	fmt.Printf("%s %d artifacts, %s\n", verb, count, size(freed))
	if err != nil {
		return exitFailed
	}
	if policy.Keep > 0 && left > policy.Keep {
		fmt.Printf("%s are more than -keep, and needed or in use\n", size(left))
	}
	return 0
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
