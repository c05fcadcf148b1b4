// Package network makes the network of a lab.
package network

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/thread"
	"pmem-memcached-e2e/framework/lab/topology"
)

// Bridge is the network interface that joins all nodes.
const Bridge = "lab0"

// Make makes a network namespace for a lab with these nodes. It has no name in
// the file system: the file that is returned holds it until the lab's processes
// do, and it is gone with the last of them.
func Make(ctx context.Context, nodes []topology.Node) (namespace *os.File, err error) {
	commands := [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", Bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"addr", "add", topology.HostAddress + "/" + topology.NetworkPrefix, "dev", Bridge},
		{"link", "set", Bridge, "up"},
	}
	for _, n := range nodes {
		commands = append(commands,
			// The one user who may have it without permissions on the network.
			[]string{"tuntap", "add", "dev", n.Tap(), "mode", "tap", "user", "0"},
			[]string{"link", "set", n.Tap(), "master", Bridge},
			[]string{"link", "set", n.Tap(), "up"},
			[]string{"route", "add", n.PodRange(), "via", n.Address()},
		)
	}
	err = thread.On(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		if namespace, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		for _, args := range commands {
			if err := process.Run(ctx, "ip", args...); err != nil {
				return errors.Join(err, namespace.Close())
			}
		}
		return nil
	})
	return namespace, err
}
