package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"pmem-memcached-e2e/framework/lab/thread"
)

// Addresses inside the lab's network namespace. They cannot clash with the
// host's, which the namespace does not see.
const (
	hostAddress   = "172.30.0.1"
	networkPrefix = "24"
	podRange      = "10.244.0.0/16"
	serviceRange  = "10.96.0.0/16"
	apiService    = "10.96.0.1"
	dnsService    = "10.96.0.10"
	apiPort       = "6443"

	bridge = "lab0"
)

// node is one machine of the lab, by its number from 1 to maxNodes.
type node int

// name is that of the node, of its QEMU process and of its user.
func (n node) name() string { return fmt.Sprintf("node%d", n) }

func (n node) address() string { return fmt.Sprintf("172.30.0.%d", 10+n) }

func (n node) podRange() string { return fmt.Sprintf("10.244.%d.0/24", n) }

func (n node) tap() string { return "tap-" + n.name() }

func (n node) mac() string { return fmt.Sprintf("52:54:00:1a:b0:%02x", int(n)) }

func (l *Lab) namespace() string { return "pmem-lab-" + l.opts.Name }

// makeNetwork makes the lab's network namespace. It has no name in the file
// system: this command holds it until the lab's processes do, and it is gone
// with the last of them.
func (l *Lab) makeNetwork(ctx context.Context) error {
	commands := [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"addr", "add", hostAddress + "/" + networkPrefix, "dev", bridge},
		{"link", "set", bridge, "up"},
	}
	for _, n := range l.plan.nodes() {
		commands = append(commands,
			// The one user who may have it without permissions on the network.
			[]string{"tuntap", "add", "dev", n.tap(), "mode", "tap", "user", "0"},
			[]string{"link", "set", n.tap(), "master", bridge},
			[]string{"link", "set", n.tap(), "up"},
			[]string{"route", "add", n.podRange(), "via", n.address()},
		)
	}
	return thread.On(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		if l.network, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		for _, args := range commands {
			if err := ip(ctx, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// openNetwork opens the network namespace, which any process of the lab has.
func (l *Lab) openNetwork() (*os.File, error) {
	if l.network != nil {
		return os.Open(fmt.Sprintf("/proc/self/fd/%d", l.network.Fd()))
	}
	var ended error
	for _, p := range l.processes() {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", p.pid))
		if err == nil {
			return file, nil
		}
		ended = errors.Join(ended, err)
	}
	if ended != nil {
		return nil, fmt.Errorf("network namespace of lab %s: %w", l.opts.Name, ended)
	}
	return nil, fmt.Errorf("lab %s has no processes, and so no network: make lab-up starts it again", l.opts.Name)
}

// leaveNetwork lets go of the network namespace.
func (l *Lab) leaveNetwork() {
	if l.network != nil {
		l.network.Close()
		l.network = nil
	}
}

func ip(ctx context.Context, args ...string) error {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
