// Package labcmd has the commands of the embedded lab.
package labcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pmem-memcached-e2e/framework/cmd/e2e/internal/cli"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/power"
	"pmem-memcached-e2e/framework/live"
)

const help = `Bring the embedded lab up and down and look into it.
`

const powerHelp = `Switch a node: off shuts it down, cut takes its power away at once, on starts it
and waits until its persistent memory can be used again, reboot is off and on,
pause stops its processors and resume continues them.`

const driverHelp = `Put a program in front of PMEM-CSI on every node that changes what the driver is
asked or answers, by a fault such as keeps-content, so that a spec can be seen
failing. hack/lying-driver has the list. untracked-capacity, no-pod-info and
any-node change what the objects of the driver declare, unlisted removes it from
the CSINode objects, and unconverted has a conversion of raw persistent memory
stay undone. real takes all of it back.`

const imageHelp = `Make an image that the nodes of a lab do not have by themselves, and print the
path of its archive. lying-memcached answers in place of a memcached behind it,
with the fault that the variable FAULT of its container names.`

// Exit codes, the same as those of the suite.
const (
	exitFailed      = 1
	exitLab         = 2
	exitInterrupted = 130
)

// New returns the command lab.
func New() *cobra.Command {
	var settings strings.Builder
	_ = config.Usage(&settings, config.LabGroup) // a builder takes everything
	cmd := &cobra.Command{Use: "lab", Short: "Bring the embedded lab up and down and look into it", Long: strings.TrimSpace(help) + "\n\n" + strings.TrimSpace(settings.String())}
	config.Flags(cmd.PersistentFlags(), config.LabGroup)
	cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = true }) // the text has them
	cli.Group(cmd)
	cmd.AddCommand(
		onLab("up", "Build missing parts and start the lab", cli.NoArguments, func(ctx context.Context, l *lab.Lab, _ []string) error { return l.Up(ctx) }),
		onLab("down", "Remove the lab; built parts stay in the cache", cli.NoArguments, func(ctx context.Context, l *lab.Lab, _ []string) error { return l.Down(ctx) }),
		onLab("status", "Show the state of the lab; exit code 1 if it is not up", cli.NoArguments, status),
		described(onLab("power NODE off|cut|on|reboot|pause|resume", "Switch a node off or on", cobra.ExactArgs(2), switchNode), powerHelp),
		passing(onLab("shell NODE [COMMAND]...", "Open a root shell on a node, or run a command there", cobra.MinimumNArgs(1), shell)),
		passing(onLab("kubectl [ARGUMENT]...", "Run kubectl against the lab", cobra.ArbitraryArgs, kubectl)),
		onLab("logs [NAME]", "List the logs of the lab, or print one of them", cobra.MaximumNArgs(1), func(_ context.Context, l *lab.Lab, args []string) error { return logs(l, args) }),
		onLab("qemu NODE", "Print the command line of a node's virtual machine", cobra.ExactArgs(1), func(_ context.Context, l *lab.Lab, args []string) error { return qemu(l, args) }),
		described(onLab("image lying-memcached|lying-driver", "Print the path of an archive for LAB_IMAGES", cobra.ExactArgs(1), image), imageHelp),
		described(onLab("driver FAULT|real", "Have PMEM-CSI lie, or no longer", cobra.ExactArgs(1), driver), driverHelp),
		newCache(),
		newVersions(),
	)
	return cmd
}

// onLab is a command whose action gets the lab that the variables name, as
// root.
func onLab(use, short string, args cobra.PositionalArgs, do func(context.Context, *lab.Lab, []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		return withLab(cmd, func(ctx context.Context, l *lab.Lab) error {
			if err := l.BecomeRoot(); err != nil {
				return err
			}
			return do(ctx, l, args)
		})
	}}
}

func described(cmd *cobra.Command, text string) *cobra.Command {
	cmd.Long = text
	return cmd
}

// passing is for a command that passes its arguments on to another program.
func passing(cmd *cobra.Command) *cobra.Command {
	cmd.DisableFlagParsing = true
	do := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "-help") {
			return cmd.Help()
		}
		return do(cmd, args)
	}
	return cmd
}

// withLab calls do with the lab that the variables name, until a signal.
func withLab(cmd *cobra.Command, do func(context.Context, *lab.Lab) error) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd.InheritedFlags() // adds those of lab to the command's, also where flags are passed on
	c, err := config.Load(cmd.Flags(), os.Getenv, "")
	if err != nil {
		return err
	}
	opts, err := lab.Configured(c.Lab)
	if err != nil {
		return err
	}
	printer := live.New(os.Stdout, os.Getenv)
	defer printer.Close()
	opts.Progress = printer.Writer()
	l, err := lab.New(opts)
	if err != nil {
		return err
	}
	return classify(ctx, do(ctx, l))
}

// classify gives an error of the lab its exit code.
func classify(ctx context.Context, err error) error {
	if _, has := errors.AsType[*cli.ExitError](err); has || err == nil {
		return err
	}
	code := exitLab
	switch {
	case ctx.Err() != nil:
		code = exitInterrupted
	case errors.Is(err, lab.ErrHost), errors.Is(err, lab.ErrDiffers), errors.Is(err, power.ErrState), errors.Is(err, lab.ErrUnknown):
		code = cli.ExitUsage
	}
	return &cli.ExitError{Code: code, Err: err}
}

func status(ctx context.Context, l *lab.Lab, _ []string) error {
	status := l.Status(ctx)
	fmt.Print(status.String() + l.Details(ctx, status).String())
	if err := status.Err(); err != nil {
		return &cli.ExitError{Code: exitFailed, Err: err}
	}
	fmt.Printf("kubeconfig %s\n", l.Kubeconfig())
	return nil
}

func switchNode(ctx context.Context, l *lab.Lab, args []string) error {
	start := time.Now()
	if err := l.Power(ctx, args[0], power.Action(args[1])); err != nil {
		return err
	}
	fmt.Printf("lab %-14s %5.1fs\n", args[0]+" "+args[1], time.Since(start).Seconds())
	return nil
}

func logs(l *lab.Lab, args []string) error {
	if len(args) > 0 {
		return l.WriteLog(os.Stdout, args[0])
	}
	names, err := l.Logs()
	for _, name := range names {
		fmt.Println(name)
	}
	return err
}

func driver(ctx context.Context, l *lab.Lab, args []string) error {
	start := time.Now()
	fault := args[0]
	if fault == "real" {
		fault = ""
	}
	if err := l.MakeDriverLie(ctx, fault); err != nil {
		return err
	}
	fmt.Printf("lab %-14s %5.1fs\n", "driver "+args[0], time.Since(start).Seconds())
	return nil
}

func image(ctx context.Context, l *lab.Lab, args []string) error {
	path, err := l.LyingImage(ctx, args[0])
	if err == nil {
		fmt.Println(path)
	}
	return err
}

func qemu(l *lab.Lab, args []string) error {
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

// kubectl becomes kubectl of the lab's own Kubernetes release.
func kubectl(ctx context.Context, l *lab.Lab, args []string) error {
	if err := l.Status(ctx).Err(); err != nil {
		return &cli.ExitError{Code: exitLab, Err: err}
	}
	path, err := l.Kubectl(ctx)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{
		Path: path, Args: append([]string{"kubectl"}, args...),
		Env:   append(os.Environ(), "KUBECONFIG="+l.Kubeconfig()),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return cli.Exit(exit.ExitCode())
	}
	return err
}
