package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/run/child"
	"pmem-memcached-e2e/manifests"
)

// specsCommand is how a run starts this program as the process with the specs.
const specsCommand = "specs"

func newSpecs() *cobra.Command {
	return &cobra.Command{
		Use: specsCommand + " CONFIG LIMIT", Short: "Run the specs, as the child process of a run", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := runSpecs(args[0], args[1]); err != nil {
				return &cli.ExitError{Code: 1, Err: err}
			}
			return nil
		},
	}
}

// runSpecs runs them with the configuration in a file, whose directory gets the
// kustomizations of the specs.
func runSpecs(configFile, limit string) error {
	c, err := config.ReadFile(configFile)
	if err != nil {
		return err
	}
	longest, err := time.ParseDuration(limit)
	if err != nil {
		return err
	}
	dir := filepath.Dir(configFile)
	if err := errors.Join(
		os.CopyFS(filepath.Join(dir, "manifests"), manifests.FS),
		os.Chdir(dir),
	); err != nil {
		return fmt.Errorf("unpack the kustomizations of the specs: %w", err)
	}
	power, err := nodePower(c)
	if err != nil {
		return err
	}
	child.Follow()
	return framework.Run(c, longest, power)
}
