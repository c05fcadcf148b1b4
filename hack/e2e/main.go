// Command e2e runs the conformance suite and tells the verdict.
//
// It is configured by the environment and by flags; -help lists both. Exit
// codes: 0 conformant, 1 a spec failed, 2 undetermined, 3 usage or
// configuration, 130 interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run"
)

func main() {
	lab.RunForwarder()
	os.Exit(e2e(os.Args[1:]))
}

func e2e(args []string) int {
	refuse := func(err error) int {
		fmt.Fprintf(os.Stderr, "e2e: %v\n", err)
		return report.ExitUsage
	}
	root, err := moduleRoot()
	if err != nil {
		return refuse(err)
	}
	c, err := config.Load(args, os.Getenv, root)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Println("Runs the conformance suite. Variables, the flags that override them, and their meaning:")
		if err := config.Usage(os.Stdout); err != nil {
			return refuse(err)
		}
		return 0
	}
	if err != nil {
		return refuse(err)
	}

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var provider run.Provider = run.Existing{Kubeconfig: c.Cluster.Kubeconfig, MemcachedImage: c.Deploy.MemcachedImage}
	if c.Cluster.Provider == config.Lab {
		if provider, err = newLab(c, root); err != nil {
			return refuse(err)
		}
	}
	r := run.Runner{Config: c, Provider: provider, Root: root, Signals: signals, Stdout: os.Stdout, Stderr: os.Stderr}
	return r.Run(context.Background())
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
