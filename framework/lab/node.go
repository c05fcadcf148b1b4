package lab

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// Memory of the node in MiB. On this machine type all memory beyond the first
// 2 GiB lies above the address of 4 GiB, and that is where the persistent
// memory must lie in one piece.
const (
	nodeMemory = 5120
	pmemSize   = 2048
	nodeCPUs   = 2
)

// kernelArguments make pmemSize MiB from the address of 4 GiB persistent.
var kernelArguments = fmt.Sprintf("root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off nokaslr loglevel=5 systemd.unit=lab.target systemd.show_status=false memmap=%dM!4G", pmemSize)

//go:embed files/kubelet.yaml
var kubeletConfig string

//go:embed files/kube-proxy.yaml
var proxyConfig string

//go:embed files/cni.conflist
var cniConfig string

// nodePrograms each have a port of the virtual machine that leads to a log
// file of the host.
var nodePrograms = []string{"containerd", "kubelet", "kube-proxy"}

// startNode starts the node's virtual machine and does not wait for it.
func (l *Lab) startNode(ctx context.Context) error {
	if err := l.makeConfigDisk(ctx); err != nil {
		return err
	}
	disk := l.path("node.qcow2")
	if err := command(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", l.parts.Disk, disk); err != nil {
		return err
	}
	cmd := exec.Command("qemu-system-x86_64",
		"-name", l.namespace()+"-"+nodeName,
		"-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none",
		"-smp", fmt.Sprint(nodeCPUs), "-m", fmt.Sprint(nodeMemory),
		"-kernel", l.parts.Kernel, "-initrd", l.parts.InitRD, "-append", kernelArguments,
		"-drive", "if=none,id=root,format=qcow2,cache=unsafe,file="+disk,
		"-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=config,format=raw,readonly=on,file="+l.path("config.raw"),
		"-device", "virtio-blk-pci,drive=config",
		"-netdev", "tap,id=net,script=no,downscript=no,ifname="+tap,
		"-device", "virtio-net-pci,netdev=net,mac="+mac,
		"-device", "virtio-rng-pci",
		"-chardev", "socket,id=console,server=on,wait=off,path="+l.path("console.sock")+",logfile="+l.path("logs", "console.log"),
		"-serial", "chardev:console",
		"-device", "virtio-serial-pci",
		"-qmp", "unix:"+l.path("qmp.sock")+",server=on,wait=off",
	)
	for _, program := range nodePrograms {
		cmd.Args = append(cmd.Args,
			"-chardev", "file,append=on,id="+program+",path="+l.path("logs", program+".log"),
			"-device", "virtserialport,name="+program+",chardev="+program)
	}
	cmd.Args = append(cmd.Args, accelArguments(l.accel)...)
	_, err := l.start("node", cmd)
	return err
}

func accelArguments(accel string) []string {
	if accel == "kvm" {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// A fifth level of page tables would only make the emulation slower.
	return []string{"-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off"}
}

// makeConfigDisk writes the small disk that makes a node out of the disk that
// all nodes of all labs share. See lab-node.sh for what becomes of it.
func (l *Lab) makeConfigDisk(ctx context.Context) (err error) {
	tree := l.path("config")
	defer func() { err = errors.Join(err, os.RemoveAll(tree)) }()
	values := map[string]string{
		"NodeName": nodeName, "NodeIP": nodeAddress, "Prefix": networkPrefix, "Gateway": hostAddress,
		"DNS": dnsService, "PodRange": podRange, "NodePodRange": nodePodRange,
	}
	env := "NODE_NAME={{.NodeName}}\nNODE_IP={{.NodeIP}}\nNODE_PREFIX={{.Prefix}}\nGATEWAY={{.Gateway}}\n"
	for path, text := range map[string]string{
		"node.env":                            env,
		"root/etc/kubernetes/node.env":        env,
		"root/etc/kubernetes/kubelet.yaml":    kubeletConfig,
		"root/etc/kubernetes/kube-proxy.yaml": proxyConfig,
		"root/etc/cni/net.d/10-lab.conflist":  cniConfig,
	} {
		parsed, err := template.New(path).Option("missingkey=error").Parse(text)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := parsed.Execute(&b, values); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(tree, path), b.Bytes()); err != nil {
			return err
		}
	}
	for _, name := range []string{"ca.crt", "kubelet.crt", "kubelet.key", "kubelet.kubeconfig", "kube-proxy.kubeconfig"} {
		content, err := os.ReadFile(l.path("keys", name))
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(tree, "root/etc/kubernetes", name), content); err != nil {
			return err
		}
	}
	return command(ctx, "mke2fs", "-q", "-t", "ext2", "-d", tree, l.path("config.raw"), "4M")
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// accelVariable lets a user do without the probe.
const accelVariable = "LAB_ACCEL"

// kvmLimit is how long a kernel gets to boot with KVM before emulation is
// preferred: with hardware that works it needs less than a second.
const kvmLimit = 15 * time.Second

// chooseAccelerator takes KVM if a kernel really boots with it: /dev/kvm can
// be there and be of no use.
func (l *Lab) chooseAccelerator(ctx context.Context) error {
	switch want := os.Getenv(accelVariable); want {
	case "kvm", "tcg":
		l.accel = want
		return nil
	case "", "auto":
	default:
		return fmt.Errorf("%s=%s: want kvm, tcg or auto", accelVariable, want)
	}
	l.accel = "tcg"
	why := l.probeKVM(ctx)
	if why == nil {
		l.accel = "kvm"
	} else {
		fmt.Fprintf(l.progress, "lab emulates the node's processor: %v\n", why)
	}
	return ctx.Err()
}

// bootMark is what a kernel without a root filesystem says when all of it has
// come up.
const bootMark = "Unable to mount root fs"

func (l *Lab) probeKVM(ctx context.Context) error {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("no KVM: %w", err)
	}
	kvm.Close()
	ctx, cancel := context.WithTimeout(ctx, kvmLimit)
	defer cancel()
	args := append([]string{"-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-m", "256", "-no-reboot",
		"-kernel", l.parts.Kernel, "-append", "console=ttyS0 panic=-1", "-serial", "stdio"}, accelArguments("kvm")...)
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", args...).CombinedOutput()
	if bytes.Contains(out, []byte(bootMark)) {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("KVM is there, but a kernel did not boot with it in %s", kvmLimit)
	}
	return fmt.Errorf("KVM is there, but a kernel did not boot with it: %v: %s", err, lastLine(out))
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// nodeAlive tells that QEMU still runs; what ends a wait for the node early.
func (l *Lab) nodeAlive() error {
	if _, ok := l.inspect().Processes["node"]; !ok {
		return wait.Stop(fmt.Errorf("the virtual machine ended; the end of its log:\n%s", logTail(l.path("logs", "node.log"), 8)))
	}
	return nil
}
