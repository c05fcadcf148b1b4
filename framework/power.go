package framework

import (
	"fmt"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/lifecycle"
	"pmem-memcached-e2e/framework/wait"
)

// power is what the provider of the cluster has to switch nodes; nil where it
// has nothing.
func power(c config.Config) (cluster.NodePower, error) {
	if c.Cluster.Provider != config.Lab {
		return nil, nil
	}
	opts, err := lab.Configured(c.Lab)
	if err != nil {
		return nil, fmt.Errorf("find the lab: %w", err)
	}
	opts.SourceDir = c.Dir
	opts.Waiter = wait.Waiter{Scale: c.WaitScale}
	return lifecycle.New(opts), nil
}
