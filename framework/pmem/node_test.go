package pmem

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/probe"
	"pmem-memcached-e2e/framework/wait"
)

func TestParseLVM(t *testing.T) {
	volumes, err := parseLVS([]byte(`{"report":[{"lv":[
		{"lv_name":"pvc-8f-5d0c", "vg_name":"ndbus0region0fsdax", "lv_size":"209715200B", "lv_path":"/dev/ndbus0region0fsdax/pvc-8f-5d0c"},
		{"lv_name":"csi-1", "vg_name":"ndbus0region0fsdax", "lv_size":"4194304", "lv_path":"/dev/ndbus0region0fsdax/csi-1"}]}], "log":[]}`))
	if err != nil || len(volumes) != 2 || volumes[0].Size != 209715200 || volumes[1].Size != 4194304 {
		t.Fatalf("%+v, %v", volumes, err)
	}
	for device, want := range map[string]bool{
		"/dev/ndbus0region0fsdax/pvc-8f-5d0c":           true,
		"/dev/mapper/ndbus0region0fsdax-pvc--8f--5d0c":  true,
		"/dev/mapper/ndbus0region0fsdax-pvc--8f--5d0c0": false,
		"overlay": false,
	} {
		if volumes[0].Backs(probe.Mount{Device: device}) != want {
			t.Errorf("backs %s: want %t", device, want)
		}
	}
	if volumes, err := parseLVS([]byte(`{"report":[{"lv":[]}]}`)); err != nil || len(volumes) != 0 {
		t.Errorf("no volumes: %+v, %v", volumes, err)
	}
	groups, err := parseVGS([]byte(`{"report":[{"vg":[{"vg_name":"ndbus0region0fsdax", "vg_size":"2143289344B", "vg_free":"1933574144B"}]}]}`))
	if want := []VolumeGroup{{"ndbus0region0fsdax", 2143289344, 1933574144}}; err != nil || !reflect.DeepEqual(groups, want) {
		t.Errorf("%+v, %v; want %+v", groups, err, want)
	}
	for _, bad := range []string{"", "No volume groups found", `{"report":[{"lv":[{"lv_name":"a","lv_size":"2.00m"}],"vg":[{"vg_name":"a","vg_size":"2.00m"}]}]}`} {
		if _, err := parseLVS([]byte(bad)); err == nil {
			t.Errorf("lvs %q: no error", bad)
		}
		if _, err := parseVGS([]byte(bad)); err == nil {
			t.Errorf("vgs %q: no error", bad)
		}
	}
}

func TestParseNdctl(t *testing.T) {
	const region = `{"dev":"region0","size":2147483648,"align":16777216,"available_size":0,"max_available_extent":0,"type":"pmem","persistence_domain":"unknown",
		"namespaces":[{"dev":"namespace0.0","mode":"fsdax","map":"dev","size":2111832064,"uuid":"1-2","sector_size":512,"align":2097152,"blockdev":"pmem0"}]}`
	for name, text := range map[string]string{
		"object": `{"regions":[` + region + `]}`,
		"list":   `[` + region + `]`,
		"single": region,
	} {
		regions, err := parseNdctl([]byte(text))
		if err != nil || len(regions) != 1 || regions[0].Size != 2147483648 || len(regions[0].Namespaces) != 1 {
			t.Errorf("%s: %+v, %v", name, regions, err)
			continue
		}
		if ns := regions[0].Namespaces[0]; ns.Mode != "fsdax" || ns.BlockDev != "pmem0" || ns.Size != 2111832064 {
			t.Errorf("%s: %+v", name, ns)
		}
	}
	if regions, err := parseNdctl([]byte("\n")); err != nil || regions != nil {
		t.Errorf("nothing: %+v, %v", regions, err)
	}
	for _, bad := range []string{"failed to open", `{"regions":3}`, "[3]"} {
		if _, err := parseNdctl([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func driverPod(name, node string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: name, Labels: map[string]string{"app.kubernetes.io/name": "pmem-csi-node"}},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

// TestAwaitNodeDriver replaces the driver's pod: it is not Ready, then gone, then there again.
func TestAwaitNodeDriver(t *testing.T) {
	client := fake.NewClientset()
	looks := []*corev1.Pod{driverPod("old", "node-1", corev1.ConditionFalse), nil, driverPod("new", "node-1", corev1.ConditionTrue)}
	client.PrependReactor("list", "pods", func(ktesting.Action) (bool, runtime.Object, error) {
		list := &corev1.PodList{}
		if pod := looks[0]; pod != nil {
			list.Items = []corev1.Pod{*pod}
		}
		looks = looks[min(1, len(looks)-1):]
		return true, list, nil
	})
	d, err := AwaitNodeDriver(t.Context(), &cluster.Cluster{Client: client}, wait.Waiter{Interval: time.Millisecond}, "node-1")
	if err != nil || d.Pod != "new" {
		t.Errorf("got %+v, %v, want the pod that is Ready", d, err)
	}
}

func TestFindNodeDriver(t *testing.T) {
	// The fake client ignores field selectors, so each case has one node.
	for _, test := range []struct {
		name string
		pod  *corev1.Pod
		want string
	}{
		{"ready", driverPod("a", "node-1", corev1.ConditionTrue), ""},
		{"not ready", driverPod("a", "node-1", corev1.ConditionFalse), "no PMEM-CSI pod on node node-1 is Ready: pmem-csi/a (Running)"},
		{"none", nil, "no pod labelled app.kubernetes.io/name=pmem-csi-node on node node-1; install PMEM-CSI there"},
	} {
		client := fake.NewClientset()
		if test.pod != nil {
			client = fake.NewClientset(test.pod)
		}
		d, err := FindNodeDriver(t.Context(), &cluster.Cluster{Client: client}, "node-1")
		switch {
		case test.want == "" && (err != nil || d.Pod != "a" || d.Namespace != "pmem-csi"):
			t.Errorf("%s: %+v, %v", test.name, d, err)
		case test.want != "" && (err == nil || err.Error() != test.want):
			t.Errorf("%s: error %v, want %s", test.name, err, test.want)
		}
	}
}

func TestMessagesSince(t *testing.T) {
	const all = "[    0.000000] Linux version 6.12\n[  100.500000] of others\n of it\n[  100.600000] oops\n a stack\n[ 2000.000000] later\n"
	for _, tt := range []struct {
		name    string
		seconds float64
		want    string
	}{
		{"all", -5, all},
		{"some", 100.6, "[  100.600000] oops\n a stack\n[ 2000.000000] later\n"},
		{"none", 3000, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := messagesSince(all, tt.seconds); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
