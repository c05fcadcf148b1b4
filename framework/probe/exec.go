// Package probe examines a container from within: its mounts, files, processes and memory. It runs
// usual commands of the container's image and reads what they print.
package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/streaming/pkg/httpstream"

	"pmem-memcached-e2e/framework/cluster"
)

// An Execer runs commands in containers; *cluster.Cluster is one.
type Execer interface {
	Exec(ctx context.Context, namespace, pod, container string, command ...string) (cluster.ExecResult, error)
}

// Output executes a command that only reads and has to end with exit code 0, and returns its output.
func Output(ctx context.Context, e Execer, namespace, pod, container string, command ...string) (string, error) {
	result, err := read(ctx, e, namespace, pod, container, command...)
	if err != nil {
		return "", err
	}
	if result.ExitCode != 0 {
		return "", ExitError(namespace, pod, container, command, result)
	}
	return result.Stdout, nil
}

// attempts bounds how often a command is run of which the connection was lost.
const attempts = 3

// read executes a command again when its connection was lost, which does no harm: probes only read.
func read(ctx context.Context, e Execer, namespace, pod, container string, command ...string) (result cluster.ExecResult, err error) {
	for range attempts {
		result, err = e.Exec(ctx, namespace, pod, container, command...)
		var answer apierrors.APIStatus
		if err == nil || ctx.Err() != nil || errors.As(err, &answer) || httpstream.IsUpgradeFailure(err) {
			break
		}
	}
	return result, err
}

// ExitError is the error of a command that ended with an exit code of its result other than 0.
func ExitError(namespace, pod, container string, command []string, result cluster.ExecResult) error {
	return fmt.Errorf("%q in container %s of pod %s/%s ended with exit code %d: %s", strings.Join(command, " "),
		container, namespace, pod, result.ExitCode, strings.TrimSpace(result.Stderr))
}

// yesOrNo runs a command that answers by exit code 0 or 1; every other is an error.
func yesOrNo(ctx context.Context, e Execer, namespace, pod, container string, command ...string) (bool, error) {
	result, err := read(ctx, e, namespace, pod, container, command...)
	switch {
	case err != nil:
		return false, err
	case result.ExitCode == 0:
		return true, nil
	case result.ExitCode == 1:
		return false, nil
	}
	return false, ExitError(namespace, pod, container, command, result)
}
