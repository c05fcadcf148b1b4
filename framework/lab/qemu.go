package lab

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"pmem-memcached-e2e/framework/lab/topology"
)

// What each node has, memory in MiB. On this machine type all memory beyond
// the first 2 GiB lies above the address of 4 GiB. Main memory comes first, so
// that what is left of it ends at pmemAddress, in GiB, where the persistent
// memory lies in one piece.
const (
	nodeCPUs    = 2
	nodeDRAM    = 3072
	pmemAddress = 5
	// qemuOverhead is what QEMU takes for itself, the code that it has
	// translated above all.
	qemuOverhead = 320
)

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

// nodePrograms each have a port of the virtual machine that leads to a log
// file of the host.
var nodePrograms = []string{"containerd", "kubelet", "kube-proxy"}

// QEMU returns the command line of the virtual machine of a node.
func (l *Lab) QEMU(name string) ([]string, error) {
	n, l, err := l.powered(name)
	if err != nil {
		return nil, err
	}
	return l.qemu(n).Args, nil
}

// mainMemory is what the nodes' main memory is made of: files in a directory,
// or this host's memory if that is empty.
type mainMemory struct {
	dir string
	// private keeps what nodes write out of the files.
	private bool
}

func (m mainMemory) file(n topology.Node) string { return filepath.Join(m.dir, n.Name()+".dram") }

func (m mainMemory) object(n topology.Node) string {
	if m.dir == "" {
		return fmt.Sprintf("memory-backend-ram,id=dram,size=%dM", nodeDRAM)
	}
	share := "on"
	if m.private {
		share = "off"
	}
	return fmt.Sprintf("memory-backend-file,id=dram,size=%dM,share=%s,mem-path=%s", nodeDRAM, share, m.file(n))
}

// qemu returns the command of a node's virtual machine.
func (l *Lab) qemu(n topology.Node) *exec.Cmd {
	p := l.plan
	// Rarely, a kernel trips over code that it changes while the emulation of
	// another processor runs it; then it starts again.
	kernelArguments := "root=/dev/vda rw panic=-1 console=ttyS0 net.ifnames=0 mitigations=off nokaslr loglevel=5 systemd.unit=lab.target systemd.show_status=false" + p.memmap()
	attach, pmem := p.attach()
	cmd := p.QEMU.Command(
		"-name", "pmem-lab-"+l.opts.Name+"-"+n.Name(),
		"-machine", p.machine(), "-nodefaults", "-no-user-config", "-display", "none",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-smp", fmt.Sprint(nodeCPUs), "-m", p.memory(),
		// Two nodes of memory, because each can have its own backing.
		"-object", l.main.object(n),
		"-numa", fmt.Sprintf("node,nodeid=0,memdev=dram,cpus=0-%d", nodeCPUs-1),
		"-object", fmt.Sprintf("memory-backend-file,id=pmem,size=%dM,share=on,mem-path=%s", p.memoryFile(), l.pmemFile(n)),
		attach, pmem,
		"-kernel", p.Kernel, "-initrd", p.InitRD, "-append", kernelArguments,
		// What the guest flushes reaches the host's files in its order, if not
		// the host's disk: it survives the end of QEMU, and no more is asked.
		"-drive", "if=none,id=root,format=qcow2,cache=unsafe,file="+l.dir.Node(n, diskFile),
		"-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=config,format=raw,readonly=on,file="+l.dir.Node(n, configFile),
		"-device", "virtio-blk-pci,drive=config",
		"-netdev", "tap,id=net,script=no,downscript=no,ifname="+n.Tap(),
		"-device", "virtio-net-pci,netdev=net,mac="+n.MAC(),
		"-device", "virtio-rng-pci",
		"-chardev", "socket,id=console,server=on,wait=off,path="+l.dir.Node(n, consoleFile)+",logappend=on,logfile="+l.dir.Log(n.Name()+"/console"),
		"-serial", "chardev:console",
		"-device", "virtio-serial-pci",
		"-chardev", "pipe,id=clock,path="+l.dir.Node(n, clockPipe),
		"-device", "virtserialport,name=clock,chardev=clock",
		"-qmp", "unix:"+l.dir.Node(n, monitorFile)+",server=on,wait=off",
	)
	for _, program := range nodePrograms {
		cmd.Args = append(cmd.Args,
			"-chardev", "file,append=on,id="+program+",path="+l.dir.Log(n.Name()+"/"+program),
			"-device", "virtserialport,name="+program+",chardev="+program)
	}
	cmd.Args = append(cmd.Args, l.shellArguments(n)...)
	cmd.Args = append(cmd.Args, accelArguments(p.Accel)...)
	return cmd
}
