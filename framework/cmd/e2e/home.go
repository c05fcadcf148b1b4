package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/config"
)

// A home is where the program finds what it does not have inside.
type home struct {
	dir      string // where relative paths start: the checkout, or the working directory
	checkout string // of this project, around the working directory; empty: none
	program  string // directory of the program
	name     string // of its file
}

func findHome() (home, error) {
	wd, err := os.Getwd()
	if err != nil {
		return home{}, err
	}
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return home{}, fmt.Errorf("find the directory of this program: %w", err)
	}
	h := home{dir: wd, program: filepath.Dir(program), name: filepath.Base(program)}
	for dir := wd; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module pmem-memcached-e2e\n") {
			h.dir, h.checkout = dir, dir
		}
	}
	return h, nil
}

// load is config.Load. Outside of a checkout the deployments are by default
// those next to the program.
func (h home) load(flags *pflag.FlagSet, getenv func(string) string) (config.Config, error) {
	c, err := config.Load(flags, getenv, h.dir)
	if err != nil || h.checkout != "" {
		return c, err
	}
	c.Program = filepath.Join(h.program, h.name)
	there, here := config.Default(h.dir).Deploy, config.Default(h.program).Deploy
	if c.Deploy.Ephemeral == there.Ephemeral {
		c.Deploy.Ephemeral = here.Ephemeral
	}
	if c.Deploy.Persistent == there.Persistent {
		c.Deploy.Persistent = here.Persistent
	}
	return c, nil
}

// loadClient is the path of the load clients, but for the architecture.
func (h home) loadClient() string { return filepath.Join(h.program, "e2e-load") }

// checkLoadClients returns an error if a load client is missing that the nodes
// may need: on the lab and kind that of this machine's architecture, elsewhere any.
func (h home) checkLoadClients(provider string) error {
	arch := "*"
	if provider == config.Lab || provider == config.Kind {
		arch = runtime.GOARCH
	}
	pattern := h.loadClient() + "-" + arch
	found, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("find the load clients: %w", err)
	}
	if len(found) == 0 {
		return fmt.Errorf("load client %s is missing: keep the files of the release archive together, or run make program in a checkout", pattern)
	}
	return nil
}
