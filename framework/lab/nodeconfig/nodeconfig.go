// Package nodeconfig makes the small disk that makes a node out of the disk that
// all nodes of all labs share.
package nodeconfig

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"text/template"

	"golang.org/x/mod/semver"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

//go:embed files/kubelet.yaml
var kubeletConfig string

//go:embed files/kube-proxy.yaml
var proxyConfig string

//go:embed files/cni.conflist
var cniConfig string

// nodeEnvironment is read by lab-node.sh and by the node's services.
const nodeEnvironment = `NODE_NAME={{.NodeName}}
NODE_IP={{.NodeIP}}
NODE_PREFIX={{.Prefix}}
GATEWAY={{.Gateway}}
NODE_LABELS={{.Labels}}
DRIVER={{.Driver}}
PEERS="{{range .Peers}}{{.}} {{end}}"
`

// eventedPLEG is the first release whose kubelet takes an event about a container
// for nothing but a reason to look at its pod at once.
const eventedPLEG = "v1.37.0"

// Texts are what the files on the disk are made of.
func Texts() []string { return []string{nodeEnvironment, kubeletConfig, proxyConfig, cniConfig} }

// Node is a node, and what it must know of the lab.
type Node struct {
	topology.Node
	// All are the nodes of the lab.
	All []topology.Node
	// Driver is the mode of PMEM-CSI.
	Driver pmemcsi.Mode
	// Kubernetes is the release that the node runs.
	Kubernetes string
	// Dir is the lab's, with the keys of the node.
	Dir state.Dir
}

// MakeDisk writes the disk to path. See lab-node.sh for what becomes of it.
func (n Node) MakeDisk(ctx context.Context, path string) (err error) {
	tree := path + ".files"
	defer func() { err = errors.Join(err, os.RemoveAll(tree)) }()
	files, err := n.files()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := private.WriteFile(filepath.Join(tree, name), content); err != nil {
			return err
		}
	}
	// It holds keys, and mke2fs would make it readable for all.
	if err := private.WriteFile(path, nil); err != nil {
		return err
	}
	return process.Run(ctx, "mke2fs", "-q", "-F", "-t", "ext2", "-d", tree, path, "4M")
}

// files returns what is on the node's config disk, by path.
func (n Node) files() (map[string][]byte, error) {
	var peers []string
	for _, other := range n.All {
		if other != n.Node {
			peers = append(peers, other.PodRange()+"="+other.Address())
		}
	}
	values := map[string]any{
		"NodeName": n.Name(), "NodeIP": n.Address(), "Prefix": topology.NetworkPrefix, "Gateway": topology.HostAddress,
		// The node joins with the label that makes it one of the driver's.
		"Labels": n.Driver.Label(), "Driver": string(n.Driver),
		"EventedPLEG": semver.Compare(n.Kubernetes, eventedPLEG) >= 0,
		"DNS":         topology.DNSService, "PodRange": topology.PodRange, "NodePodRange": n.PodRange(), "Peers": peers,
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
		content, err := os.ReadFile(n.Dir.Key(from))
		if err != nil {
			return nil, err
		}
		files["root/etc/kubernetes/"+to] = content
	}
	return files, nil
}
