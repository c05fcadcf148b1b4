// Package probetest helps to test what package probe's users run in containers.
package probetest

import (
	"bytes"
	"context"
	"errors"
	"os/exec"

	"pmem-memcached-e2e/framework/cluster"
)

// Host runs the commands meant for a container on this machine.
type Host struct{}

func (Host) Exec(ctx context.Context, _, _, _ string, command ...string) (cluster.ExecResult, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return cluster.ExecResult{}, err
	}
	return cluster.ExecResult{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ProcessState.ExitCode()}, nil
}
