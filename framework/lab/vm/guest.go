package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/nodeshell"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/thread"
	"pmem-memcached-e2e/framework/wait"
)

// Guest is a virtual machine that is no node of a lab: it has persistent memory by memmap=, as a
// workstation may have it, no network, and nothing of Kubernetes. It ends with this process.
type Guest struct {
	// Dir is the directory of its files, which nothing else uses.
	Dir         string
	QEMU        artifact.QEMU
	Accelerator Accelerator
	// Kernel, InitRD and Disk are what it boots, and Unit is systemd's unit that it
	// comes up with. Disk stays as it is.
	Kernel, InitRD, Disk, Unit string
	// Data is a second disk, raw, which the guest cannot write to.
	Data string
	// Memory is all that it has, and PMEM what of it, from the address of 4 GiB on, is persistent, in MiB.
	Memory, PMEM int
	Waiter       wait.Waiter
}

const guestConsole = "console.log"

func (g Guest) file(name string) string { return filepath.Join(g.Dir, name) }

// Command returns the command that is the virtual machine.
func (g Guest) Command() *exec.Cmd {
	arguments := "root=/dev/vda rw panic=-1 console=ttyS0 net.ifnames=0 loglevel=5 systemd.show_status=false systemd.unit=" + g.Unit +
		" " + strings.Join(light, " ") + fmt.Sprintf(" memmap=%dM!4G", g.PMEM)
	cmd := g.QEMU.Command(
		"-name", "pmem-guest",
		"-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-smp", fmt.Sprint(processors), "-m", fmt.Sprint(g.Memory),
		"-kernel", g.Kernel, "-initrd", g.InitRD, "-append", arguments,
		"-drive", "if=none,id=root,format=qcow2,cache=unsafe,file="+g.file(diskFile), "-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=data,format=raw,readonly=on,file="+g.Data, "-device", "virtio-blk-pci,drive=data",
		"-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
		"-serial", "file:"+g.file(guestConsole),
	)
	cmd.Args = append(cmd.Args, shellArguments(g.file)...)
	cmd.Args = append(cmd.Args, accelArguments(g.Accelerator.Name, g.Accelerator.Processor)...)
	return cmd
}

// Booted is a guest that was started.
type Booted struct {
	Guest
	pid   int
	ended chan struct{} // closed after the virtual machine has ended, and err is set
	err   error
}

// Start makes the guest's own disk and starts the virtual machine without capabilities. Dir must be there.
func (g Guest) Start(ctx context.Context) (*Booted, error) {
	if err := process.Run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", g.Disk, g.file(diskFile)); err != nil {
		return nil, err
	}
	log, err := private.OpenAppend(g.file("qemu.log"))
	if err != nil {
		return nil, err
	}
	if err := private.AppendFile(g.file(guestConsole), nil); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	cmd := g.Command()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, g.Dir
	cmd.Env = append(process.Inherited(), cmd.Env...)
	// The kernel ends it when the thread that started it ends, so that thread waits for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	r := &Booted{Guest: g, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		defer log.Close()
		r.err = thread.On(func() error {
			return thread.WithoutCapabilities(func() error {
				if err := cmd.Start(); err != nil {
					started <- err
					return err
				}
				r.pid = cmd.Process.Pid
				started <- nil
				return cmd.Wait()
			})
		})
		close(r.ended)
		started <- r.err // if it never got to the start
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start a virtual machine: %w", err)
	}
	return r, nil
}

// Stop ends the virtual machine at once, and returns when it has ended.
func (r *Booted) Stop() error {
	err := syscall.Kill(r.pid, syscall.SIGKILL)
	<-r.ended
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// Await waits until a line for the guest's shell succeeds.
func (r *Booted) Await(ctx context.Context, line string) error {
	err := r.Waiter.Until(ctx, wait.KindHost, "the guest to answer to "+line, func(probe context.Context) (bool, string, error) {
		select {
		case <-r.ended:
			return false, "", wait.Stop(fmt.Errorf("its virtual machine has ended (%v): %s", r.err, process.LogTail(r.file("qemu.log"), 8)))
		default:
		}
		var out strings.Builder
		code, err := r.session(probe, nodeshell.Session{Args: []string{line}, Stdout: &out, Stderr: &out})
		return err == nil && code == 0, fmt.Sprintf("exit code %d: %s", code, strings.TrimSpace(out.String())), err
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w\nthe end of its console:\n%s", err, r.Console(15))
	}
	return err
}

// Console returns the last lines of what the guest's console said.
func (r *Booted) Console(lines int) string { return process.LogTail(r.file(guestConsole), lines) }

// Shell carries out a command in the guest as root and returns its exit code. It waits until the guest
// answers: after a session the port takes a moment to be there for the next one.
func (r *Booted) Shell(ctx context.Context, s nodeshell.Session) (code int, err error) {
	var ended error
	err = r.Waiter.Until(ctx, wait.LabShell, "the guest to answer on its port for shells", func(context.Context) (bool, string, error) {
		// Not with the context of the probe, which ends with the limit of the wait.
		code, ended = r.session(ctx, s)
		if errors.Is(ended, nodeshell.ErrNoAnswer) {
			return false, "", ended
		}
		return true, "", nil
	})
	return code, errors.Join(err, ended)
}

// session is Shell for a guest that answers.
func (r *Booted) session(ctx context.Context, s nodeshell.Session) (code int, err error) {
	port, unlock, err := shellPort(r.file)
	if err != nil {
		return 0, fmt.Errorf("shell of the guest: %w", err)
	}
	defer unlock()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", port)
	if err != nil {
		return 0, fmt.Errorf("shell of the guest: %w", err)
	}
	if code, err = nodeshell.Run(ctx, conn, s); err != nil {
		return 0, fmt.Errorf("shell of the guest: %w", err)
	}
	return code, nil
}
