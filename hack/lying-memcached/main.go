// Command lying-memcached is a memcached that lies: it starts the real one on another port, with the arguments that
// it was given, and answers in its place with the fault that the variable FAULT names (see framework/mutant/liar).
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pmem-memcached-e2e/framework/mutant/liar"
)

// Variables of the environment.
const (
	faultVariable = "FAULT"     // the name of a fault; empty: none
	realVariable  = "MEMCACHED" // path of the real memcached
	realDefault   = "/usr/bin/memcached"
)

const exitUsage = 64

// The process of this program was started as memcached. It gets another name, so that who looks for memcached's process
// finds the one with the memory file.
const (
	ownName  = "lying-memcached"
	nameFile = "/proc/self/comm" // proc(5): writable by the process
)

func main() {
	status, err := run(os.Args[1:], os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lying-memcached:", err)
	}
	os.Exit(status)
}

// run returns the exit status of the real memcached.
func run(args []string, getenv func(string) string) (int, error) {
	path := getenv(realVariable)
	if path == "" {
		path = realDefault
	}
	real := exec.Command(path, args...)
	real.Stdout, real.Stderr = os.Stdout, os.Stderr
	asked := address(args)
	if asked == "" { // it serves nobody
		return wait(real, real.Start())
	}
	fault := liar.Fault(getenv(faultVariable))
	if fault == "" {
		fault = liar.Faithful
	}
	if fault.Describe() == "" {
		return exitUsage, fmt.Errorf("%s=%s is no fault: there are %v", faultVariable, fault, liar.Faults())
	}
	host, _, err := net.SplitHostPort(asked)
	if err != nil {
		return exitUsage, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	port, err := freePort(host)
	if err != nil {
		return 1, err
	}
	real.Args = append(real.Args, "--port="+port)

	if err := os.WriteFile(nameFile, []byte(ownName), 0); err != nil {
		return 1, fmt.Errorf("give this process its name: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGHUP)
	if err := real.Start(); err != nil {
		return 1, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for s := range signals {
			_ = real.Process.Signal(s) // it may have ended
		}
	}()
	failed := make(chan error, 1)
	go func() {
		err := serve(ctx, fault, asked, net.JoinHostPort(host, port))
		if ctx.Err() == nil {
			_ = real.Process.Kill()
		}
		failed <- err
	}()
	status, err := wait(real, nil)
	lost := ctx.Err() == nil
	cancel()
	if cause := <-failed; lost && cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return status, err
}

// wait returns the exit status of a process, with 128 and the number of a signal that ended it as a shell has it.
func wait(c *exec.Cmd, started error) (int, error) {
	if started != nil {
		return 1, started
	}
	err := c.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); !ended && err != nil {
		return 1, err
	}
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return c.ProcessState.ExitCode(), nil
}

// address is where memcached with these arguments listens; empty when they ask for something else than to serve.
func address(args []string) string {
	host, port := "", "11211"
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		if len(name) > 2 && name[0] == '-' && name[1] != '-' {
			name, value, given = args[i][:2], args[i][2:], true
		}
		switch name {
		case "-h", "--help", "-V", "--version", "-i", "--license":
			return ""
		case "-p", "--port", "-l", "--listen":
		default:
			continue
		}
		if !given && i+1 < len(args) {
			i++
			value = args[i]
		}
		if name == "-p" || name == "--port" {
			port = value
		} else {
			host, _, _ = strings.Cut(value, ",")
		}
	}
	return net.JoinHostPort(host, port)
}

// freePort returns a port of host that nothing listens on.
func freePort(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// retry is how often it is looked whether the real memcached listens.
const retry = 20 * time.Millisecond

// serve answers at asked once the real memcached listens, so that who can connect gets an answer.
func serve(ctx context.Context, fault liar.Fault, asked, upstream string) error {
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", upstream)
		if err == nil {
			c.Close()
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	l, err := net.Listen("tcp", asked)
	if err != nil {
		return err
	}
	return (&liar.Liar{Upstream: upstream, Fault: fault}).Serve(ctx, l)
}
