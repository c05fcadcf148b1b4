package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
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

func (l *Lab) namespacePath() string { return "/run/netns/" + l.namespace() }

func (l *Lab) makeNetwork(ctx context.Context) error {
	ns := l.namespace()
	commands := [][]string{
		{"netns", "add", ns},
		{"-n", ns, "link", "set", "lo", "up"},
		{"-n", ns, "link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"-n", ns, "addr", "add", hostAddress + "/" + networkPrefix, "dev", bridge},
		{"-n", ns, "link", "set", bridge, "up"},
	}
	for _, n := range l.plan.nodes() {
		commands = append(commands,
			[]string{"-n", ns, "tuntap", "add", "dev", n.tap(), "mode", "tap"},
			[]string{"-n", ns, "link", "set", n.tap(), "master", bridge},
			[]string{"-n", ns, "link", "set", n.tap(), "up"},
			[]string{"-n", ns, "route", "add", n.podRange(), "via", n.address()},
		)
	}
	for _, args := range commands {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// removeNetwork deletes the namespace, and with it all that is in it.
func (l *Lab) removeNetwork() error {
	if _, err := os.Stat(l.namespacePath()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := ip(context.Background(), "netns", "del", l.namespace()); err != nil {
		return err
	}
	// The directory is a mount point that ip makes for the first namespace of a
	// machine. Only the last one to go can take it along.
	dir := filepath.Dir(l.namespacePath())
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return err
	}
	if err := unix.Unmount(dir, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
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
