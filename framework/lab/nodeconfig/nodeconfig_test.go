package nodeconfig

import (
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

func TestFiles(t *testing.T) {
	n := Node{Node: 2, All: topology.Nodes(3), Driver: pmemcsi.LVM, Dir: state.Dir(t.TempDir())}
	if err := plane.MakeKeys(n.Dir, n.All); err != nil {
		t.Fatal(err)
	}
	files, err := n.files()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"node.env":                               "NODE_NAME=node2\nNODE_IP=172.30.0.12\nNODE_PREFIX=24\nGATEWAY=172.30.0.1\nNODE_LABELS=pmem-csi.intel.com/convert-raw-namespaces=force\nDRIVER=lvm\nPEERS=\"10.244.1.0/24=172.30.0.11 10.244.3.0/24=172.30.0.13 \"\n",
		"root/etc/cni/net.d/10-lab.conflist":     `"10.244.2.0/24"`,
		"root/etc/kubernetes/kubelet.kubeconfig": topology.APIAddress,
		"root/etc/kubernetes/kubelet.key":        "PRIVATE KEY",
	} {
		if !strings.Contains(string(files[path]), want) {
			t.Errorf("%s has not %q:\n%s", path, want, files[path])
		}
	}
	for kubernetes, want := range map[string]bool{"v1.36.3": false, "v1.37.2": true} {
		n.Kubernetes = kubernetes
		files, err := n.files()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(files["root/etc/kubernetes/kubelet.yaml"]), "EventedPLEG: true"); got != want {
			t.Errorf("%s: evented PLEG %t, want %t", kubernetes, got, want)
		}
	}
	n.Node, n.All = 1, topology.Nodes(1)
	if files, err = n.files(); err != nil || !strings.HasSuffix(string(files["node.env"]), "PEERS=\"\"\n") {
		t.Errorf("a single node has peers: %s, %v", files["node.env"], err)
	}
}
