package pmem

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/probe/probetest"
	"pmem-memcached-e2e/framework/wait"
)

// The id is that of a volume that PMEM-CSI v1.1.0 made for a claim.
func TestVolumeID(t *testing.T) {
	const want = "pvc-0c-ed74edfca1d8fe2082ebc82b5da6d74f2ea6ffc43c05e209d110f7f1"
	if got := VolumeID("pvc-0cf8a5d5-077c-4278-8587-89c069518e78"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, is := range map[string]bool{want: true, VolumeID("ab"): true, VolumeID(InlineName("uid", "data")): true,
		"root": false, "pvc-0cf8a5d5-077c-4278-8587-89c069518e78": false} {
		if IsVolumeID(name) != is {
			t.Errorf("%s: want %t", name, is)
		}
	}
	if name := InlineName("5f0c", "data-volume"); len(name) != 68 || !strings.HasPrefix(name, "csi-") {
		t.Errorf("inline %s", name)
	}
}

func TestLogicalVolumeOfMount(t *testing.T) {
	for device, want := range map[string][2]string{
		"/dev/mapper/ndbus0region0fsdax-pvc--8f--5d0c": {"ndbus0region0fsdax", "pvc-8f-5d0c"},
		"/dev/mapper/a--b-c":                           {"a-b", "c"},
		"/dev/ndbus0region0fsdax/pvc-8f-5d0c":          {"ndbus0region0fsdax", "pvc-8f-5d0c"},
		"/dev/mapper/control":                          {},
		"/dev/mapper/-x":                               {},
		"/dev/sda1":                                    {},
		"/dev/disk/by-id/x":                            {},
		"tmpfs":                                        {},
	} {
		group, name, ok := MountedVolume(probe.Mount{Device: device})
		if ok != (want[0] != "") || ok && (group != want[0] || name != want[1]) {
			t.Errorf("%s: %q %q %t", device, group, name, ok)
		}
	}
}

// node runs the commands of the driver's container on this machine, with stand-ins for the programs that
// need persistent memory.
type node struct{ bin string }

func (n node) Exec(ctx context.Context, namespace, pod, container string, command ...string) (cluster.ExecResult, error) {
	return probetest.Host{}.Exec(ctx, namespace, pod, container, append([]string{"env", "PATH=" + n.bin + ":" + os.Getenv("PATH")}, command...)...)
}

func program(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestInventory(t *testing.T) {
	bin, state := t.TempDir(), t.TempDir()
	program(t, bin, "lvs", `/bin/cat <<'end'
{"report":[{"lv":[{"lv_name":"root","vg_name":"system","lv_size":"1B","lv_path":"/dev/system/root"},
{"lv_name":"pvc-8f-5d0c","vg_name":"ndbus0region0fsdax","lv_size":"209715200B","lv_path":"/dev/ndbus0region0fsdax/pvc-8f-5d0c"}]}]}
end
`)
	program(t, bin, "vgs", `echo '  WARNING: no devices file' >&2
echo '{"report":[{"vg":[{"vg_name":"system","vg_size":"9B","vg_free":"1B"},{"vg_name":"ndbus0region0fsdax","vg_size":"400B","vg_free":"200B"}]}]}'`)
	program(t, bin, "ndctl", `printf '{"regions":[{"dev":"region0","type":"pmem","namespaces":[{"dev":"namespace0.0","mode":"fsdax","size":400},{"dev":"namespace0.1","mode":"raw","size":0}]}]}'`)
	program(t, bin, "cat", `/bin/cat <<'end'
1 2 253:0 / /var/lib/kubelet/pods/5f/volumes/kubernetes.io~csi/data/mount rw - ext4 /dev/mapper/ndbus0region0fsdax-pvc--8f--5d0c rw
2 2 8:1 / /var/lib/kubelet/pods rw - ext4 /dev/mapper/system-root rw
3 2 8:1 / /var/lib/kubelet/pods/5f/volumes/kubernetes.io~csi/other/mount rw - ext4 /dev/rbd0 rw
4 2 259:1 / /var/lib/kubelet/plugins/kubernetes.io/csi/pmem-csi.intel.com/0a/globalmount rw - xfs /dev/pmem0.1 rw
5 2 259:1 / /var/lib/kubelet/pods/60/volumes/kubernetes.io~csi/direct/mount rw - xfs /dev/pmem0.1 rw
end
`)
	for _, file := range []string{"pvc-8f-5d0c.json", "mount/x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(state, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(state, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &NodeDriver{Node: "node-1", Namespace: "pmem-csi", Pod: "p", Name: "pmem-csi.intel.com", StateDir: state, exec: node{bin}}

	inv, err := d.Inventory(t.Context())
	if err != nil || len(inv.Unread) != 0 {
		t.Fatalf("%v, unread %v", err, inv.Unread)
	}
	if want := []LogicalVolume{{Name: "pvc-8f-5d0c", Group: "ndbus0region0fsdax", Path: "/dev/ndbus0region0fsdax/pvc-8f-5d0c", Size: 200 << 20}}; !reflect.DeepEqual(inv.Volumes, want) {
		t.Errorf("volumes %+v", inv.Volumes)
	}
	if want := []VolumeGroup{{"ndbus0region0fsdax", 400, 200}}; !reflect.DeepEqual(inv.Groups, want) {
		t.Errorf("groups %+v", inv.Groups)
	}
	if len(inv.Namespaces) != 1 || inv.Namespaces[0].Dev != "namespace0.0" {
		t.Errorf("namespaces %+v", inv.Namespaces)
	}
	var devices []string
	for _, m := range inv.Mounts {
		devices = append(devices, m.Device)
	}
	if want := []string{"/dev/mapper/ndbus0region0fsdax-pvc--8f--5d0c", "/dev/pmem0.1", "/dev/pmem0.1"}; !slices.Equal(devices, want) {
		t.Errorf("mounts of %q", devices)
	}
	slices.Sort(inv.Files)
	if want := []string{"mount/x", "pvc-8f-5d0c.json"}; !slices.Equal(inv.Files, want) {
		t.Errorf("files %q", inv.Files)
	}

	program(t, bin, "lvs", "echo '  /dev/mapper/control: open failed' >&2\nexit 5\n")
	program(t, bin, "ndctl", "echo nonsense")
	program(t, bin, "cat", "kill $PPID\n")
	inv, err = d.Inventory(t.Context())
	if err == nil {
		t.Errorf("a script that was killed: %+v", inv)
	}
	program(t, bin, "cat", "echo nonsense\n")
	if inv, err = d.Inventory(t.Context()); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]string{
		PartVolumes:    "exit code 5: /dev/mapper/control: open failed",
		PartNamespaces: `output of ndctl "nonsense`,
		PartMounts:     `mountinfo: parsing 'nonsense' failed: not enough fields (1)`,
	} {
		if got := inv.Unread[part]; got == nil || !strings.HasPrefix(got.Error(), want) {
			t.Errorf("%s: error %v, want %s", part, got, want)
		}
	}
	if len(inv.Unread) != 3 || len(inv.Groups) != 1 || len(inv.Files) != 2 {
		t.Errorf("what could be read is missing: %+v", inv)
	}
}

func TestInventoryCutOff(t *testing.T) {
	inv := (&NodeDriver{}).parseInventory("=== logical volumes\n{\"report\":[]}\n\n=== exit 0\n=== volume groups\n{", "")
	if len(inv.Unread) != 4 || inv.Unread[PartVolumes] != nil {
		t.Errorf("unread %v", inv.Unread)
	}
	if err := inv.Unread[PartGroups]; err == nil || err.Error() != "the command did not come to its end" {
		t.Errorf("error %v", err)
	}
}

func TestFindNodeDrivers(t *testing.T) {
	pod := func(name, node string, ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: name, Labels: map[string]string{"app.kubernetes.io/name": "pmem-csi-node"}},
			Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
				Name:    "pmem-driver",
				Command: []string{"/usr/local/bin/pmem-csi-driver", "-deviceManager=direct", "-statePath=/var/lib/$(PMEM_CSI_DRIVER_NAME)", "--drivername=$(PMEM_CSI_DRIVER_NAME)"},
				Env:     []corev1.EnvVar{{Name: "PMEM_CSI_DRIVER_NAME", Value: "other.example.com"}},
				Ports:   []corev1.ContainerPort{{Name: "metrics", ContainerPort: 10010}},
			}}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	plain := pod("c", "node-3", corev1.ConditionTrue)
	plain.Spec.Containers = nil
	client := fake.NewClientset(pod("b", "node-2", corev1.ConditionTrue), pod("a", "node-1", corev1.ConditionFalse), plain, pod("d", "", corev1.ConditionFalse))
	drivers, unready, err := FindNodeDrivers(t.Context(), &cluster.Cluster{Client: client})
	if err != nil || len(drivers) != 2 || len(unready) != 1 {
		t.Fatalf("%+v, %v, %v", drivers, unready, err)
	}
	if d := drivers[0]; d.Node != "node-2" || d.Name != "other.example.com" || d.Mode != Direct || d.StateDir != "/var/lib/other.example.com" || d.MetricsPort != 10010 {
		t.Errorf("%+v", d)
	}
	if d := drivers[1]; d.Name != "pmem-csi.intel.com" || d.Mode != "" || d.StateDir != "/var/lib/pmem-csi.intel.com" || d.MetricsPort != 0 {
		t.Errorf("without arguments: %+v", d)
	}
	if _, err := drivers[1].Available(t.Context()); !errors.Is(err, ErrNoMetrics) {
		t.Errorf("without a port: %v", err)
	}
	if err := unready["node-1"]; err == nil || !strings.Contains(err.Error(), "no PMEM-CSI pod on node node-1 is Ready: pmem-csi/a (Running)") {
		t.Errorf("unready: %v", err)
	}
	if _, _, err := FindNodeDrivers(t.Context(), &cluster.Cluster{Client: fake.NewClientset()}); err == nil || !strings.Contains(err.Error(), "install PMEM-CSI") {
		t.Errorf("no driver: %v", err)
	}
}

// TestSeveralDrivers has two drivers on one node, with other labels and names of containers than PMEM-CSI's own
// deployment, and expects the one that is examined.
func TestSeveralDrivers(t *testing.T) {
	pod := func(name, driver, container string, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: name, Labels: labels},
			Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{
				{Name: "registrar"}, {Name: container, Args: []string{"-drivername=" + driver, "-deviceManager=lvm"}}}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
		}
	}
	usual, other := map[string]string{"app.kubernetes.io/name": "pmem-csi-node"}, map[string]string{"app": "fast-memory"}
	slow, fast := pod("a", "slow.example", "pmem-driver", usual), pod("b", "fast.example", "plugin", other)
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: "fast"}, Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: other}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: other}, Spec: fast.Spec}}}
	unrelated := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "storage", Name: "proxy"}, Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{}}}
	client := fake.NewClientset(slow, fast, set, unrelated)
	for driver, want := range map[string]string{"slow.example": "a pmem-driver", "fast.example": "b plugin"} {
		c := &cluster.Cluster{Client: client, Drivers: []string{driver}}
		d, err := FindNodeDriver(t.Context(), c, "node-1")
		if err != nil || d.Pod+" "+d.Container != want || d.Name != driver {
			t.Errorf("%s: %+v, %v, want %s", driver, d, err, want)
		}
		all, unready, err := FindNodeDrivers(t.Context(), c)
		if err != nil || len(all) != 1 || len(unready) > 0 || all[0].Name != driver {
			t.Errorf("%s: %d drivers, %v, %v", driver, len(all), unready, err)
		}
	}
	both := &cluster.Cluster{Client: client, Drivers: []string{"slow.example", "fast.example"}}
	if all, _, err := FindNodeDrivers(t.Context(), both); err != nil || len(all) != 2 {
		t.Errorf("%d drivers of two on a node, %v", len(all), err)
	}
	absent := &cluster.Cluster{Client: client, Drivers: []string{"absent.example"}}
	var none *NoneError
	if _, _, err := FindNodeDrivers(t.Context(), absent); !errors.As(err, &none) || !strings.Contains(err.Error(), "runs the driver absent.example") {
		t.Errorf("a driver that is absent: %v", err)
	}
	sets, err := FindDriverSets(t.Context(), both, "fast.example")
	if err != nil || len(sets) != 1 || sets[0].Name != "fast" {
		t.Errorf("%d DaemonSets, %v", len(sets), err)
	}
}

func TestGauges(t *testing.T) {
	const text = `# HELP pmem_amount_available Remaining amount of PMEM on the host that can be used for new volumes.
# TYPE pmem_amount_available gauge
pmem_amount_available{driver_name="pmem-csi.intel.com",node="a} 1"} 2.143289344e+09
pmem_amount_available_total 5
# TYPE pmem_amount_managed gauge
pmem_amount_managed{node="n"} 4e+09 1700000000000
`
	got, err := gauges([]byte(text), managedMetric, availableMetric)
	if err != nil || !slices.Equal(got, []int64{4000000000, 2143289344}) {
		t.Errorf("%d, %v", got, err)
	}
	for _, bad := range []string{"", "x many\n", "x 1\n", "# TYPE x counter\nx 1\n", "# TYPE x gauge\nx{n=\"1\"} 1\nx{n=\"2\"} 2\n"} {
		if got, err := gauges([]byte(bad), "x"); err == nil {
			t.Errorf("%q: %d, no error", bad, got)
		}
	}
}

func TestAwaitNodeDrivers(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: "a", Labels: map[string]string{"app.kubernetes.io/name": "pmem-csi-node"}},
		Spec:       corev1.PodSpec{NodeName: "node-1"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}},
	}
	client := fake.NewClientset(pod)
	updated := make(chan error, 1)
	w := wait.Waiter{Begin: func(wait.Record) {
		ready := pod.DeepCopy()
		ready.Status.Conditions[0].Status = corev1.ConditionTrue
		_, err := client.CoreV1().Pods(pod.Namespace).Update(t.Context(), ready, metav1.UpdateOptions{})
		updated <- err
	}}
	if err := AwaitNodeDrivers(t.Context(), &cluster.Cluster{Client: client}, w); err != nil {
		t.Error(err)
	}
	if err := <-updated; err != nil {
		t.Error(err)
	}

	var seen wait.Record
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	w = wait.Waiter{Observe: func(r wait.Record) { seen = r }}
	err := AwaitNodeDrivers(ctx, &cluster.Cluster{Client: fake.NewClientset(pod)}, w)
	if err == nil || seen.Done || !strings.Contains(seen.Last, "Ready on 0 of 1; no PMEM-CSI pod on node node-1 is Ready: pmem-csi/a (Running)") {
		t.Errorf("not Ready: %v, %+v", err, seen)
	}
	if err := AwaitNodeDrivers(t.Context(), &cluster.Cluster{Client: fake.NewClientset()}, w); err == nil || !strings.Contains(err.Error(), "install PMEM-CSI") {
		t.Errorf("no driver: %v", err)
	}
}

func TestTaken(t *testing.T) {
	bin := t.TempDir()
	d := &NodeDriver{Node: "node-1", Namespace: "pmem-csi", Pod: "p", exec: node{bin}}
	for _, test := range []struct {
		script, err string
		want        int64
	}{
		{`[ "$1" = /sys/bus/nd/devices/namespace0.1/size ] && echo 754974720`, "", 720 << 20},
		{"echo", "node node-1: size of namespace0.1", 0},
		{"echo no such file >&2; exit 1", "no such file", 0},
	} {
		program(t, bin, "cat", test.script)
		got, err := d.Taken(t.Context(), Namespace{Dev: "namespace0.1", Size: 708 << 20})
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %d, %v", test.script, got, err)
		}
	}
}
