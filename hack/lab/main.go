// Command lab brings the embedded lab up and down and looks into it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/live"
)

const usage = `usage: lab COMMAND

  up        build what is missing, start the lab
  down      remove the lab; what was built stays
  status    tell what there is; exit 1 if the lab is not up
  power NODE off|cut|on|reboot|pause|resume
            shut a node down, take its power away at once, start it (and wait
            until its persistent memory can be used again), stop its processors
            and let them go on
  logs [NAME]
            tell which logs there are, or print one of them
  shell NODE [COMMAND...]
            a root shell on a node, or the output and the exit code of a command
            there; a single argument is a line for the shell
  qemu NODE print the command line of a node's virtual machine
  cache     list what was built; cache prune removes what nothing needs
  versions  compare what is pinned with what there is
  kubectl   run kubectl against the lab, with the arguments that follow

LAB_NAME tells several labs apart, LAB_NODES is the number of nodes (1 to 4),
LAB_PMEM the persistent memory of each in MiB, LAB_PORT the port of the API
server on 127.0.0.1, LAB_ACCEL kvm, tcg or auto; CACHE_DIR keeps what was built.
LAB_KUBERNETES, LAB_MEMCACHED and LAB_KERNEL choose among the versions that there
are, and LAB_DRIVER the mode of PMEM-CSI, lvm or direct. LAB_SNAPSHOT=1 has up go
on from a snapshot, which is taken first if there is none.
`

// Exit codes, the same as those of the suite.
const (
	exitFailed      = 1
	exitLab         = 2
	exitUsage       = 3
	exitInterrupted = 130
)

func main() {
	lab.RunForwarder()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	printer := live.New(os.Stdout, os.Getenv)
	defer printer.Close()
	l, err := open(printer.Writer())
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return exitUsage
	}
	if args[0] != "versions" {
		if err := l.BecomeRoot(); err != nil {
			return report(ctx, err)
		}
	}
	switch command := args[0]; {
	case command == "kubectl":
		return kubectl(ctx, l, args[1:])
	case command == "power":
		return report(ctx, power(ctx, l, args[1:]))
	case command == "shell":
		return shell(ctx, l, args[1:])
	case command == "logs":
		return report(ctx, logs(l, args[1:]))
	case command == "qemu":
		return report(ctx, qemu(l, args[1:]))
	case command == "cache":
		return onCache(l, args[1:])
	case len(args) > 1:
		fmt.Fprintf(os.Stderr, "lab %s: takes no arguments, got %q\n", command, args[1:])
		return exitUsage
	case command == "up":
		return report(ctx, l.Up(ctx))
	case command == "down":
		return report(ctx, l.Down(ctx))
	case command == "versions":
		return versions(ctx, l)
	case command == "status":
		status := l.Status(ctx)
		fmt.Print(status.String() + l.Details(ctx, status).String())
		if err := status.Err(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			return exitFailed
		}
		fmt.Printf("kubeconfig %s\n", l.Kubeconfig())
		return 0
	default:
		fmt.Fprintf(os.Stderr, "lab: unknown command %q\n%s", command, usage)
		return exitUsage
	}
}

func power(ctx context.Context, l *lab.Lab, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("power: %w: want a node and one of %q, got %q", errArguments, lab.Actions, args)
	}
	start := time.Now()
	if err := l.Power(ctx, args[0], lab.Action(args[1])); err != nil {
		return err
	}
	fmt.Printf("lab %-14s %5.1fs\n", args[0]+" "+args[1], time.Since(start).Seconds())
	return nil
}

// errArguments says that a command was not called as it wants to be.
var errArguments = errors.New("wrong arguments")

func logs(l *lab.Lab, args []string) error {
	switch len(args) {
	case 0:
		names, err := l.Logs()
		for _, name := range names {
			fmt.Println(name)
		}
		return err
	case 1:
		return l.WriteLog(os.Stdout, args[0])
	}
	return fmt.Errorf("logs: %w: want the name of one log or none, got %q", errArguments, args)
}

func qemu(l *lab.Lab, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("qemu: %w: want a node, got %q", errArguments, args)
	}
	line, err := l.QEMU(args[0])
	if err != nil {
		return err
	}
	for i, arg := range line {
		if strings.ContainsAny(arg, " !") {
			line[i] = "'" + arg + "'"
		}
	}
	fmt.Println(strings.Join(line, " "))
	return nil
}

func open(progress io.Writer) (*lab.Lab, error) {
	flags := pflag.NewFlagSet("lab", pflag.ContinueOnError)
	config.Flags(flags, config.LabGroup)
	c, err := config.Load(flags, os.Getenv, "")
	if err != nil {
		return nil, err
	}
	opts, err := lab.Configured(c.Lab)
	if err != nil {
		return nil, err
	}
	opts.Progress = progress
	return lab.New(opts)
}

func report(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "lab:", err)
		return exitInterrupted
	case errors.Is(err, errArguments), errors.Is(err, lab.ErrHost), errors.Is(err, lab.ErrDiffers),
		errors.Is(err, lab.ErrPower), errors.Is(err, lab.ErrUnknown):
		fmt.Fprintln(os.Stderr, "lab:", err)
		return exitUsage
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		return exitLab
	}
}

// kubectl becomes kubectl of the lab's own Kubernetes release.
func kubectl(ctx context.Context, l *lab.Lab, args []string) int {
	if err := l.Status(ctx).Err(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return exitLab
	}
	path, err := l.Kubectl(ctx)
	if err != nil {
		return report(ctx, err)
	}
	cmd := &exec.Cmd{
		Path: path, Args: append([]string{"kubectl"}, args...),
		Env:   append(os.Environ(), "KUBECONFIG="+l.Kubeconfig()),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		fmt.Fprintln(os.Stderr, "lab kubectl:", err)
		return exitLab
	}
	return 0
}
