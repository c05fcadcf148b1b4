// Package vm runs a lab's nodes: virtual machines with persistent memory.
package vm

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sync/errgroup"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

// What each node has, memory in MiB. On this machine type all memory beyond
// the first 2 GiB lies above the address of 4 GiB. Main memory comes first, so
// that what is left of it ends at pmemAddress, in GiB, where the persistent
// memory lies in one piece.
const (
	processors  = 2
	DRAM        = 3072
	pmemAddress = 5
	// Overhead is what QEMU takes for itself, the code that it has translated
	// above all.
	Overhead = 320
)

// light are arguments by which the kernel does without what protects it from its
// programs and what accounts for their waiting, so that an emulated processor
// starts a process in less time.
var light = []string{
	"mitigations=off", "nokaslr", "randomize_kstack_offset=off", "init_on_alloc=0", "hardened_usercopy=off",
	"psi=0", "audit=0", "nowatchdog",
}

// Files of a node.
const (
	diskFile    = "disk.qcow2"
	configFile  = "config.raw"
	consoleFile = "console.sock"
	monitorFile = "qmp.sock"
	// clockPipe is the name before ".in" and ".out" of the pipes that lead to
	// lab-clock.sh.
	clockPipe = "clock"
)

// programs each have a port of the virtual machine that leads to a log file of
// the host.
var programs = []string{"containerd", "kubelet", "kube-proxy"}

// Machine is the virtual machine of a node.
type Machine struct {
	topology.Node
	Plan state.Plan
	// Main is what main memory is made of.
	Main MainMemory
	Dir  state.Dir
	// Programs are those of the lab, of which QEMU is one.
	Programs *process.Group
	Waiter   wait.Waiter
}

// file returns the path of a file that belongs to the machine.
func (m Machine) file(name string) string { return m.Dir.Node(m.Node, name) }

// DiskFile returns the file that is the node's disk.
func (m Machine) DiskFile() string { return m.file(diskFile) }

// ConfigFile returns the file that is the small disk that makes a node out of
// the disk that all have.
func (m Machine) ConfigFile() string { return m.file(configFile) }

// consoleLog returns the path of the log with all that the node's console said.
func (m Machine) consoleLog() string { return m.Dir.Log(m.Name() + "/console") }

// Command returns the command that is the virtual machine.
func (m Machine) Command() *exec.Cmd {
	p := m.Plan
	// Rarely, a kernel trips over code that it changes while the emulation of
	// another processor runs it; then it starts again.
	kernelArguments := "root=/dev/vda rw panic=-1 console=ttyS0 net.ifnames=0 loglevel=5 systemd.unit=lab.target systemd.show_status=false " + strings.Join(light, " ") + memmap(p)
	attach, pmem := attachment(p)
	cmd := p.QEMU.Command(
		"-name", "pmem-lab-"+m.Dir.Lab()+"-"+m.Name(),
		"-machine", machineType(p), "-nodefaults", "-no-user-config", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-smp", fmt.Sprint(processors), "-m", memorySize(p),
		// Two nodes of memory, because each can have its own backing.
		"-object", m.Main.object(m.Node),
		"-numa", fmt.Sprintf("node,nodeid=0,memdev=dram,cpus=0-%d", processors-1),
		"-object", fmt.Sprintf("memory-backend-file,id=pmem,size=%dM,share=on,mem-path=%s", PMEMFileSize(p), m.PMEMFile()),
		attach, pmem,
		"-kernel", p.Kernel, "-initrd", p.InitRD, "-append", kernelArguments,
		// What the guest flushes reaches the host's files in its order, if not
		// the host's disk: it survives the end of QEMU, and no more is asked.
		"-drive", "if=none,id=root,format=qcow2,cache=unsafe,file="+m.DiskFile(),
		"-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=config,format=raw,readonly=on,file="+m.ConfigFile(),
		"-device", "virtio-blk-pci,drive=config",
		"-netdev", "tap,id=net,script=no,downscript=no,ifname="+m.Tap(),
		"-device", "virtio-net-pci,netdev=net,mac="+m.MAC(),
		"-device", "virtio-rng-pci",
		"-chardev", "socket,id=console,server=on,wait=off,path="+m.file(consoleFile)+",logappend=on,logfile="+m.consoleLog(),
		"-serial", "chardev:console",
		"-device", "virtio-serial-pci",
		"-chardev", "pipe,id=clock,path="+m.file(clockPipe),
		"-device", "virtserialport,name=clock,chardev=clock",
		"-qmp", "unix:"+m.file(monitorFile)+",server=on,wait=off",
	)
	for _, program := range programs {
		cmd.Args = append(cmd.Args,
			"-chardev", "file,append=on,id="+program+",path="+m.Dir.Log(m.Name()+"/"+program),
			"-device", "virtserialport,name="+program+",chardev="+program)
	}
	cmd.Args = append(cmd.Args, shellArguments(m.file)...)
	cmd.Args = append(cmd.Args, accelArguments(p.Accel, p.Processor)...)
	return cmd
}

// MakeDisk makes the node's disk, which begins as the file below it and leaves
// that as it is.
func (m Machine) MakeDisk(ctx context.Context, format, below string) error {
	return process.Run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", below, m.DiskFile())
}

// Start starts QEMU on what the node has, with more arguments.
func (m Machine) Start(more ...string) error {
	// QEMU would make its logs readable for all.
	for _, name := range append([]string{"console"}, programs...) {
		if err := private.AppendFile(m.Dir.Log(m.Name()+"/"+name), nil); err != nil {
			return err
		}
	}
	if err := m.makeClock(); err != nil {
		return err
	}
	cmd := m.Command()
	cmd.Args = append(cmd.Args, more...)
	_, err := m.Programs.Start(m.Name(), cmd)
	return err
}

// Alive reports whether QEMU still runs; what ends a wait for the node early.
func (m Machine) Alive() error {
	if _, ok := m.Programs.Find(m.Name()); !ok {
		return wait.Stop(fmt.Errorf("the virtual machine of %s ended; the end of its log:\n%s", m.Name(), process.LogTail(m.Dir.Log(m.Name()), 8)))
	}
	return nil
}

// Quit ends the machine by QEMU's own doing: what it has of the disk is in the
// file then.
func (m Machine) Quit(ctx context.Context) error {
	if err := m.Do(ctx, "quit"); err != nil {
		return err
	}
	return m.Waiter.Until(ctx, wait.LabFrozen, "QEMU of "+m.Name()+" to end", func(context.Context) (bool, string, error) {
		p, runs := m.Programs.Find(m.Name())
		return !runs, fmt.Sprintf("process %d still runs", p.PID), nil
	})
}

// Each calls f for all machines in parallel. The first error ends the others.
func Each(ctx context.Context, machines []Machine, f func(context.Context, Machine) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range machines {
		g.Go(func() error {
			if err := f(ctx, m); err != nil {
				return fmt.Errorf("%s: %w", m.Name(), err)
			}
			return nil
		})
	}
	return g.Wait()
}
