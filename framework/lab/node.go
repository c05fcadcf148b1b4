package lab

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/wait"
)

//go:embed files/kubelet.yaml
var kubeletConfig string

//go:embed files/kube-proxy.yaml
var proxyConfig string

//go:embed files/cni.conflist
var cniConfig string

// startNodes starts the virtual machines and does not wait for them.
func (l *Lab) startNodes(ctx context.Context) error {
	l.plan.boot(l.parts)
	if err := errors.Join(l.writePlan(), l.makeMemory()); err != nil {
		return err
	}
	return topology.Each(ctx, l.plan.nodes(), func(ctx context.Context, n topology.Node) error {
		if err := l.makeConfigDisk(ctx, n); err != nil {
			return err
		}
		if err := l.makeDisk(ctx, n, "raw", l.plan.Disk); err != nil {
			return err
		}
		return l.startMachine(n)
	})
}

// makeDisk makes the node's disk, which begins as the file below it and leaves
// that as it is.
func (l *Lab) makeDisk(ctx context.Context, n topology.Node, format, below string) error {
	return command(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", below, l.dir.Node(n, diskFile))
}

// startMachine starts QEMU on what the node has, with more arguments.
func (l *Lab) startMachine(n topology.Node, more ...string) error {
	// QEMU would make its logs readable for all.
	for _, name := range append([]string{"console"}, nodePrograms...) {
		if err := private.AppendFile(l.dir.Log(n.Name()+"/"+name), nil); err != nil {
			return err
		}
	}
	if err := l.makeClock(n); err != nil {
		return err
	}
	cmd := l.qemu(n)
	cmd.Args = append(cmd.Args, more...)
	_, err := l.programs.Start(n.Name(), cmd)
	return err
}

// nodeEnvironment is read by lab-node.sh and by the node's services.
const nodeEnvironment = `NODE_NAME={{.NodeName}}
NODE_IP={{.NodeIP}}
NODE_PREFIX={{.Prefix}}
GATEWAY={{.Gateway}}
NODE_LABELS={{.Labels}}
DRIVER={{.Driver}}
PEERS="{{range .Peers}}{{.}} {{end}}"
`

// makeConfigDisk writes the small disk that makes a node out of the disk that
// all nodes of all labs share. See lab-node.sh for what becomes of it.
func (l *Lab) makeConfigDisk(ctx context.Context, n topology.Node) (err error) {
	tree := l.dir.Node(n, "config")
	defer func() { err = errors.Join(err, os.RemoveAll(tree)) }()
	files, err := l.nodeFiles(n)
	if err != nil {
		return err
	}
	for path, content := range files {
		if err := private.WriteFile(filepath.Join(tree, path), content); err != nil {
			return err
		}
	}
	// It holds keys, and mke2fs would make it readable for all.
	if err := private.WriteFile(l.dir.Node(n, configFile), nil); err != nil {
		return err
	}
	return command(ctx, "mke2fs", "-q", "-F", "-t", "ext2", "-d", tree, l.dir.Node(n, configFile), "4M")
}

// nodeFiles returns what is on the node's config disk, by path.
func (l *Lab) nodeFiles(n topology.Node) (map[string][]byte, error) {
	var peers []string
	for _, other := range l.plan.nodes() {
		if other != n {
			peers = append(peers, other.PodRange()+"="+other.Address())
		}
	}
	values := map[string]any{
		"NodeName": n.Name(), "NodeIP": n.Address(), "Prefix": topology.NetworkPrefix, "Gateway": topology.HostAddress,
		// The node joins with the label that makes it one of the driver's.
		"Labels": l.plan.Driver.label(), "Driver": string(cmp.Or(l.plan.Driver, LVM)),
		"DNS": topology.DNSService, "PodRange": topology.PodRange, "NodePodRange": n.PodRange(), "Peers": peers,
	}
	files := map[string][]byte{}
	for path, text := range map[string]string{
		"node.env":                            nodeEnvironment,
		"root/etc/kubernetes/node.env":        nodeEnvironment,
		"root/etc/kubernetes/kubelet.yaml":    kubeletConfig,
		"root/etc/kubernetes/kube-proxy.yaml": proxyConfig,
		"root/etc/cni/net.d/10-lab.conflist":  cniConfig,
	} {
		parsed, err := template.New(path).Option("missingkey=error").Parse(text)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := parsed.Execute(&b, values); err != nil {
			return nil, err
		}
		files[path] = b.Bytes()
	}
	for from, to := range map[string]string{
		"ca.crt": "ca.crt", "kube-proxy.kubeconfig": "kube-proxy.kubeconfig",
		n.Name() + ".crt": "kubelet.crt", n.Name() + ".key": "kubelet.key", n.Name() + ".kubeconfig": "kubelet.kubeconfig",
	} {
		content, err := os.ReadFile(l.dir.Key(from))
		if err != nil {
			return nil, err
		}
		files["root/etc/kubernetes/"+to] = content
	}
	return files, nil
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// alive reports whether the node's QEMU still runs; what ends a wait for the node
// early.
func (l *Lab) alive(n topology.Node) error {
	if _, ok := l.programs.Find(n.Name()); !ok {
		return wait.Stop(fmt.Errorf("the virtual machine of %s ended; the end of its log:\n%s", n.Name(), process.LogTail(l.dir.Log(n.Name()), 8)))
	}
	return nil
}

// console adds the end of what the node's console said to an error.
func (l *Lab) console(n topology.Node, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\nthe end of the console of %s:\n%s", err, n.Name(), process.LogTail(l.dir.Log(n.Name()+"/console"), 12))
}
