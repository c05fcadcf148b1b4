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

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

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
	return l.eachNode(ctx, func(ctx context.Context, n node) error {
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
func (l *Lab) makeDisk(ctx context.Context, n node, format, below string) error {
	return command(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", below, l.nodePath(n, diskFile))
}

// startMachine starts QEMU on what the node has, with more arguments.
func (l *Lab) startMachine(n node, more ...string) error {
	// QEMU would make its logs readable for all.
	for _, name := range append([]string{"console"}, nodePrograms...) {
		if err := appendFile(l.path("logs", n.name(), name+".log"), nil); err != nil {
			return err
		}
	}
	if err := l.makeClock(n); err != nil {
		return err
	}
	cmd := l.qemu(n)
	cmd.Args = append(cmd.Args, more...)
	_, err := l.start(n.name(), cmd)
	return err
}

// eachNode calls f for all nodes at once. The first error ends the others.
func (l *Lab) eachNode(ctx context.Context, f func(context.Context, node) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range l.plan.nodes() {
		g.Go(func() error {
			if err := f(ctx, n); err != nil {
				return fmt.Errorf("%s: %w", n.name(), err)
			}
			return nil
		})
	}
	return g.Wait()
}

// nodePath returns the path of a file that belongs to one node.
func (l *Lab) nodePath(n node, elem ...string) string {
	return l.path(append([]string{nodesDir, n.name()}, elem...)...)
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
func (l *Lab) makeConfigDisk(ctx context.Context, n node) (err error) {
	tree := l.nodePath(n, "config")
	defer func() { err = errors.Join(err, os.RemoveAll(tree)) }()
	files, err := l.nodeFiles(n)
	if err != nil {
		return err
	}
	for path, content := range files {
		if err := writeFile(filepath.Join(tree, path), content); err != nil {
			return err
		}
	}
	// It holds keys, and mke2fs would make it readable for all.
	if err := writeFile(l.nodePath(n, configFile), nil); err != nil {
		return err
	}
	return command(ctx, "mke2fs", "-q", "-F", "-t", "ext2", "-d", tree, l.nodePath(n, configFile), "4M")
}

// nodeFiles returns what is on the node's config disk, by path.
func (l *Lab) nodeFiles(n node) (map[string][]byte, error) {
	var peers []string
	for _, other := range l.plan.nodes() {
		if other != n {
			peers = append(peers, other.podRange()+"="+other.address())
		}
	}
	values := map[string]any{
		"NodeName": n.name(), "NodeIP": n.address(), "Prefix": networkPrefix, "Gateway": hostAddress,
		// The node joins with the label that makes it one of the driver's.
		"Labels": l.plan.Driver.label(), "Driver": string(cmp.Or(l.plan.Driver, LVM)),
		"DNS": dnsService, "PodRange": podRange, "NodePodRange": n.podRange(), "Peers": peers,
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
		n.name() + ".crt": "kubelet.crt", n.name() + ".key": "kubelet.key", n.name() + ".kubeconfig": "kubelet.kubeconfig",
	} {
		content, err := os.ReadFile(l.path(keysDir, from))
		if err != nil {
			return nil, err
		}
		files["root/etc/kubernetes/"+to] = content
	}
	return files, nil
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// replaceFile writes all of a file or leaves it as it was, also when the power
// fails.
func replaceFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, content, 0o600)
}

func appendFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
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
func (l *Lab) alive(n node) error {
	if _, ok := l.find(n.name()); !ok {
		return wait.Stop(fmt.Errorf("the virtual machine of %s ended; the end of its log:\n%s", n.name(), logTail(l.path("logs", n.name()+".log"), 8)))
	}
	return nil
}

// console adds the end of what the node's console said to an error.
func (l *Lab) console(n node, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\nthe end of the console of %s:\n%s", err, n.name(), logTail(l.path("logs", n.name(), "console.log"), 12))
}
