package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
)

func TestPlannedNodes(t *testing.T) {
	two, _ := plan{Nodes: 2, PMEM: defaultPMEM}.needs()
	for _, c := range []struct{ given, available, processors, want int }{
		{0, two, 4, 2}, {0, two - 1, 4, 1}, {0, two, 3, 1}, {1, two, 4, 1}, {2, 0, 1, 2}, {4, two, 2, 4},
	} {
		if got := (Options{Nodes: c.given}).planned(c.available, c.processors); got.Nodes != c.want {
			t.Errorf("LAB_NODES=%d, %d MiB and %d processors: %d nodes, want %d", c.given, c.available, c.processors, got.Nodes, c.want)
		}
	}
}

func TestEnough(t *testing.T) {
	for _, c := range []struct {
		plan      plan
		available int
		want      string
	}{
		{plan{Nodes: 1, PMEM: 2048}, 7488, ""},
		{plan{Nodes: 1, PMEM: 2048}, 7487, "it has 7487 MiB of memory available, and LAB_NODES=1 LAB_PMEM=2048 need 7488 MiB"},
		{plan{Nodes: 4, PMEM: 2048}, 20000, "need 23808 MiB: 2048 MiB for the control plane and the suite, and for each of 4 nodes 3072 MiB of main memory, 2048 MiB of persistent memory"},
	} {
		err := enough(c.plan, c.available)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrHost) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v with %d MiB: %v, want %q", c.plan, c.available, err, c.want)
		}
	}
}

func TestDiffers(t *testing.T) {
	two := plan{Nodes: 2, PMEM: 1024}
	for _, c := range []struct {
		opts Options
		want []string
	}{
		{Options{}, nil},
		{Options{Nodes: 2, PMEM: 1024}, nil},
		{Options{Nodes: 1}, []string{"LAB_NODES=1, but it has 2", "make lab-down", "LAB_NAME"}},
		{Options{Driver: LVM}, nil},
		{Options{Driver: Direct}, []string{"LAB_DRIVER=direct, but its driver is in mode lvm"}},
		{Options{Nodes: 3, PMEM: 2048}, []string{"LAB_NODES=3, but it has 2", "LAB_PMEM=2048, but its nodes have 1024 MiB"}},
	} {
		err := c.opts.differs(two)
		if (err == nil) != (c.want == nil) || err != nil && !errors.Is(err, ErrDiffers) {
			t.Errorf("%+v: %v", c.opts, err)
		}
		for _, want := range c.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q in it", c.opts, err, want)
			}
		}
	}
}

func TestPlanIsReadAsWritten(t *testing.T) {
	l := testLab(t)
	if p, err := l.readPlan(); err != nil || p != (plan{}) {
		t.Errorf("without a plan: %+v, %v", p, err)
	}
	l.plan = plan{Nodes: 3, PMEM: 512, Accel: "tcg", Kernel: "/k", InitRD: "/i", Disk: "/d"}
	if err := l.writePlan(); err != nil {
		t.Fatal(err)
	}
	if p, err := l.readPlan(); err != nil || p != l.plan {
		t.Errorf("got %+v, %v, want %+v", p, err, l.plan)
	}
	for _, torn := range []string{"", `{"nodes": 2`, `{"nodes": 9}`} {
		if err := os.WriteFile(l.dir.Path(planFile), []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := l.readPlan(); err == nil || !strings.Contains(err.Error(), "make lab-down") {
			t.Errorf("plan %q: %v", torn, err)
		}
	}
}

func TestNodeFiles(t *testing.T) {
	l := testLab(t)
	l.plan.Nodes = 3
	if err := l.makeKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := l.nodeFiles(2)
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
	l.plan.Nodes = 1
	if files, err = l.nodeFiles(1); err != nil || !strings.HasSuffix(string(files["node.env"]), "PEERS=\"\"\n") {
		t.Errorf("a single node has peers: %s, %v", files["node.env"], err)
	}
}

func TestQEMU(t *testing.T) {
	l := testLab(t)
	l.plan = plan{Nodes: 2, PMEM: 1024, Accel: "tcg", Kernel: "/k", InitRD: "/i", Disk: "/d"}
	args := strings.Join(l.qemu(2).Args, " ")
	for _, want := range []string{
		"-name pmem-lab-test-node2", "-m 4096", "memmap=1024M!5G", "ifname=tap-node2", "mac=52:54:00:1a:b0:02",
		"file=" + l.dir.Path("nodes/node2/disk.qcow2"), "logfile=" + l.dir.Path("logs/node2/console.log"),
	} {
		if !strings.Contains(args, want) {
			t.Errorf("%q is missing in %s", want, args)
		}
	}
	for _, socket := range []string{consoleFile, monitorFile} {
		l.dir = state.Dir(filepath.Join(host.StateDir(), "123456789012"))
		// sun_path of unix(7).
		if path := l.dir.Node(maxNodes, socket); len(path) > 107 {
			t.Errorf("%s is too long for a socket: %d bytes", path, len(path))
		}
	}
}
