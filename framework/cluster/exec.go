package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/wait"
)

// logBytes bounds what Logs returns, in bytes.
const logBytes = 8 << 20

// An ExecResult is what a command in a container wrote, and its exit code.
type ExecResult struct {
	Stdout, Stderr string
	ExitCode       int
}

// Exec runs command in a container, without a shell. A command that runs and ends with a non-zero
// exit code is not an error; the exit code is in the result. Between KeepSessions and EndSessions a shell that is there
// already starts the command if there is one.
func (c *Cluster) Exec(ctx context.Context, namespace, pod, container string, command ...string) (ExecResult, error) {
	if r, ok, err := c.sessions.ask(ctx, c, place{namespace, pod, container}, command); ok {
		return r, err
	}
	var stdout, stderr bytes.Buffer
	code, err := c.ExecTo(ctx, &stdout, &stderr, namespace, pod, container, command...)
	if said := stdout.String() + stderr.String(); err == nil && code != 0 && noProgram.MatchString(said) {
		err = lost(place{namespace, pod, container}, command, errors.New(strings.TrimSpace(said)))
	}
	return ExecResult{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: code}, err
}

// ExecTo is Exec with output that is there while the command runs.
func (c *Cluster) ExecTo(ctx context.Context, stdout, stderr io.Writer, namespace, pod, container string, command ...string) (exitCode int, err error) {
	if exitCode, err = c.exec(ctx, nil, stdout, stderr, place{namespace, pod, container}, command); err != nil {
		return 0, lost(place{namespace, pod, container}, command, err)
	}
	return exitCode, nil
}

// A place is where commands run.
type place struct{ namespace, pod, container string }

// noProgram is how container runtimes report that a container has no such program. Some of them end the command with an exit
// code then. A shell that lacks a program says it in other words.
var noProgram = regexp.MustCompile(`exec: "[^"]*": (executable file not found|stat [^:]*: no such file|no such file)|executable file [^ ]+ not found in \$PATH`)

// lost is the error of a command that did not run to its end, or of which that is not known. It ends a wait at once when the container has no
// such program: it will not have it later.
func lost(at place, command []string, err error) error {
	missing := noProgram.MatchString(err.Error())
	if missing {
		err = fmt.Errorf("its image has no program %s, by which the suite looks into it: %w", command[0], err)
	}
	err = fault.OfInfrastructure(fmt.Errorf("running %q in container %s of pod %s/%s: %w", brief(command), at.container, at.namespace, at.pod, err))
	if missing {
		return wait.Stop(err)
	}
	return err
}

func (c *Cluster) exec(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, at place, command []string) (exitCode int, err error) {
	executor, err := c.executor(c.Client.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(at.namespace).Name(at.pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: at.container, Command: command, Stdin: stdin != nil, Stdout: true, Stderr: true}, scheme.ParameterCodec))
	if err != nil {
		return 0, err
	}
	c.Tally.Exec(ctx)
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: stderr})
	var exit exec.CodeExitError
	if errors.As(err, &exit) {
		return exit.Code, nil
	}
	return 0, err
}

// brief is the beginning of a command, such as that of a script.
func brief(command []string) string {
	const limit = 80
	text, _, more := strings.Cut(strings.Join(command, " "), "\n")
	if len(text) > limit {
		text, more = strings.ToValidUTF8(text[:limit], ""), true
	}
	if more {
		text += " …"
	}
	return text
}

// Attach connects to the standard streams of a container that was made with
// stdin, until its process ends, stdin ends and the container closes its own,
// or ctx ends.
func (c *Cluster) Attach(ctx context.Context, namespace, pod, container string, stdin io.Reader, stdout, stderr io.Writer) error {
	executor, err := c.executor(c.Client.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(namespace).Name(pod).SubResource("attach").
		VersionedParams(&corev1.PodAttachOptions{Container: container, Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec))
	if err == nil {
		err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: stderr})
	}
	if err != nil {
		return fmt.Errorf("attaching to container %s of pod %s/%s: %w", container, namespace, pod, err)
	}
	return nil
}

// executor streams over a WebSocket, or over SPDY where that is refused.
func (c *Cluster) executor(request *rest.Request) (remotecommand.Executor, error) {
	url := request.URL()
	spdy, err := remotecommand.NewSPDYExecutor(c.Config, "POST", url)
	if err != nil {
		return nil, err
	}
	// A WebSocket opening is a GET, RFC 6455, section 4.1.
	websocket, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", url.String())
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(websocket, spdy, noWebSocket)
}

func noWebSocket(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// Logs returns the log of a container, or with previous that of the instance before it; at most the first 8 MiB.
func (c *Cluster) Logs(ctx context.Context, namespace, pod, container string, previous bool) (string, error) {
	limit := int64(logBytes)
	return c.logs(ctx, namespace, pod, &corev1.PodLogOptions{Container: container, Previous: previous, LimitBytes: &limit})
}

// LogTail returns the last lines of the log of a container, or with previous of the instance before it.
func (c *Cluster) LogTail(ctx context.Context, namespace, pod, container string, previous bool, lines int64) (string, error) {
	return c.logs(ctx, namespace, pod, &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines})
}

func (c *Cluster) logs(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) (string, error) {
	stream, err := c.Client.CoreV1().Pods(namespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		return "", fmt.Errorf("log of container %s of pod %s/%s: %w", options.Container, namespace, pod, err)
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	if err != nil {
		return string(text), fmt.Errorf("log of container %s of pod %s/%s: %w", options.Container, namespace, pod, err)
	}
	return string(text), nil
}
