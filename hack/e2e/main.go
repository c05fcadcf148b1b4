// Command e2e runs the conformance suite, tells the verdict, and handles the
// reports of earlier runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/run"
)

const usage = `usage: e2e [FLAG…]                 run the suite
       e2e report-diff [-markdown] OLD NEW
                                   compare two reports (report.yaml)
       e2e validate REPORT         check a report: schema, digests, verdict
       e2e render REPORT DIR       write the other forms of a report into DIR
       e2e baseline REPORT         print a baseline file with what a report has measured
       e2e load [FLAG…]            load a memcached; e2e load -help lists the flags

Exit codes of a run: 0 conformant or measured, 1 not conformant or worse than
the baseline, 2 undetermined, 3 usage or configuration, 4 something was left
behind, 130 interrupted. report-diff: 1 when the new report is worse; validate:
1 when the report is refused; 3 for a file that cannot be read as a report.

`

func main() {
	lab.RunForwarder()
	os.Exit(e2e(os.Args[1:], os.Stdout, os.Stderr))
}

func e2e(args []string, stdout, stderr *os.File) int {
	if len(args) > 0 && args[0] == "load" {
		return onLoad(args[1:], stdout, stderr)
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return onReports(args, stdout, stderr)
	}
	refuse := func(err error) int {
		fmt.Fprintf(stderr, "e2e: %v\n", err)
		return run.ExitUsage
	}
	root, err := moduleRoot()
	if err != nil {
		return refuse(err)
	}
	flags := pflag.NewFlagSet("e2e", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	config.Flags(flags)
	if err := flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return help(stdout, stderr)
	} else if err != nil {
		return refuse(fmt.Errorf("%w; --help lists the flags", err))
	}
	if flags.NArg() > 0 {
		return refuse(fmt.Errorf("%q: no argument is expected beside flags; --help lists them", flags.Arg(0)))
	}
	c, err := config.Load(flags, os.Getenv, root)
	if err != nil {
		return refuse(err)
	}

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var provider run.Provider = run.Existing{Kubeconfig: c.Cluster.Kubeconfig, MemcachedImage: c.Deploy.MemcachedImage, OtherImage: c.Deploy.OtherImage}
	if c.Cluster.Provider == config.Lab {
		if provider, err = newLab(c, root); err != nil {
			return refuse(err)
		}
	}
	r := run.Runner{
		Config: c, Provider: provider, Root: root, Suite: "./e2e", Version: version(),
		Signals: signals, Getenv: os.Getenv, Stdout: stdout, Stderr: stderr,
	}
	return r.Run(context.Background())
}

func help(stdout, stderr io.Writer) int {
	fmt.Fprint(stdout, usage)
	if err := config.Usage(stdout); err != nil {
		fmt.Fprintf(stderr, "e2e: %v\n", err)
		return run.ExitUsage
	}
	return 0
}

// version is the revision that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, changed := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	return revision + changed
}

// moduleRoot is the directory of this project's go.mod, here or above.
func moduleRoot() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module pmem-memcached-e2e\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in a checkout of pmem-memcached-e2e; change into one", wd)
		}
	}
}
