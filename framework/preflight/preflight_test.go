package preflight

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

const ownClass = deploytest.Claim + `
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: pmem}
provisioner: driver.example
`

var (
	emptyDir     = strings.Replace(deploytest.Inline, "csi: {driver: driver.example, fsType: ext4, volumeAttributes: {size: 200Mi}}", "emptyDir: {}", 1)
	sizeless     = strings.Replace(deploytest.Inline, ", volumeAttributes: {size: 200Mi}", "", 1)
	defaultClass = strings.Replace(deploytest.Claim, "      storageClassName: pmem\n", "", 1)
	sidecar      = strings.Replace(deploytest.Inline, "      volumes:\n", "      - {name: exporter, image: \"exporter:2\"}\n      volumes:\n", 1)
	secret       = strings.Replace(deploytest.Inline, "      tolerations:", "      imagePullSecrets: [{name: key}]\n      tolerations:", 1)
)

func driver(modes ...storagev1.VolumeLifecycleMode) *storagev1.CSIDriver {
	return &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: "driver.example"},
		Spec:       storagev1.CSIDriverSpec{VolumeLifecycleModes: modes},
	}
}

func class(name string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "driver.example"}
}

func csiNode(name string, drivers ...string) *storagev1.CSINode {
	node := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, d := range drivers {
		node.Spec.Drivers = append(node.Spec.Drivers, storagev1.CSINodeDriver{Name: d})
	}
	return node
}

func capacity(class, size string) *storagev1.CSIStorageCapacity {
	q := resource.MustParse(size)
	return &storagev1.CSIStorageCapacity{ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: "cap-" + class}, StorageClassName: class, MaximumVolumeSize: &q}
}

func driverPod(node string, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pmem-csi", Name: "driver-" + node, Labels: map[string]string{"app.kubernetes.io/name": "pmem-csi-node"}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: pmem.NodeDriverContainer,
			Command: []string{"/usr/local/bin/pmem-csi-driver", "-drivername=driver.example"}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

var (
	both  = driver(storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)
	claim = driver(storagev1.VolumeLifecyclePersistent)
)

// refusing makes the client fail to do verb on resource.
func refusing(client *fake.Clientset, verb, resource string) {
	client.PrependReactor(verb, resource, func(ktesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("refused by the test")
	})
}

func subject(t *testing.T, client kubernetes.Interface, manifests ...string) Subject {
	s := Subject{
		Cluster: &cluster.Cluster{Client: client},
		Waiter:  wait.Waiter{Interval: time.Millisecond, Scale: wait.Scale{All: 0.001}},
	}
	for i, text := range manifests {
		s.Manifests = append(s.Manifests, deploytest.Load(t, []string{"first", "second", "third"}[i], text))
	}
	return s
}

func compare(t *testing.T, got finding, state report.CheckState, saw, remedy string) {
	t.Helper()
	if got.state != state || got.saw != saw || got.remedy != remedy {
		t.Errorf("got  %s: %s\n     %s\nwant %s: %s\n     %s", got.state, got.saw, got.remedy, state, saw, remedy)
	}
	if (got.state == report.CheckPassed) != (got.remedy == "") {
		t.Errorf("%s with the remedy %q", got.state, got.remedy)
	}
}

func TestStorage(t *testing.T) {
	worker := csiNode("worker", "driver.example")
	for _, test := range []struct {
		name      string
		check     func(context.Context, Subject) finding
		manifests []string
		cluster   []runtime.Object
		refuse    string // resource
		state     report.CheckState
		saw       string
		remedy    string
	}{
		{name: "inline fits", check: checkDriver, manifests: []string{deploytest.Inline}, cluster: []runtime.Object{both, worker, csiNode("bare")},
			state: report.CheckPassed, saw: "driver.example on worker"},
		{name: "both fit", check: checkDriver, manifests: []string{deploytest.Inline, deploytest.Claim}, cluster: []runtime.Object{both, worker, class("pmem")},
			state: report.CheckPassed, saw: "driver.example on worker"},
		{name: "claims need no inline volumes", check: checkDriver, manifests: []string{deploytest.Claim}, cluster: []runtime.Object{claim, worker, class("pmem")},
			state: report.CheckPassed, saw: "driver.example on worker"},
		{name: "no driver", check: checkDriver, manifests: []string{deploytest.Inline},
			state: report.CheckFailed, saw: `the CSI driver "driver.example" is absent (no CSIDriver object of that name)`, remedy: installDriver},
		{name: "no inline volumes", check: checkDriver, manifests: []string{deploytest.Claim, deploytest.Inline}, cluster: []runtime.Object{claim, worker, class("pmem")},
			state: report.CheckFailed, saw: `the CSI driver "driver.example" offers no inline volumes: its volumeLifecycleModes are [Persistent]`,
			remedy: "deploy a version of the driver with mode Ephemeral, or set LABELS=persistent"},
		{name: "driver on no node", check: checkDriver, manifests: []string{deploytest.Inline}, cluster: []runtime.Object{both, csiNode("worker", "other.example")},
			state: report.CheckFailed, saw: `the CSI driver "driver.example" runs on no node (CSINodes: worker)`,
			remedy: "label a node with persistent memory as PMEM-CSI's installation guide says, and look at the driver's pods"},
		{name: "several drivers are reported in order", check: checkDriver,
			manifests: []string{strings.ReplaceAll(deploytest.Inline, "driver.example", "z.example"), strings.ReplaceAll(deploytest.Inline, "driver.example", "a.example")},
			state:     report.CheckFailed,
			saw:       `the CSI driver "a.example" is absent (no CSIDriver object of that name); the CSI driver "z.example" is absent (no CSIDriver object of that name)`,
			remedy:    installDriver},
		{name: "driver cannot be read", check: checkDriver, manifests: []string{deploytest.Inline}, refuse: "csidrivers",
			state: report.CheckUnknown, saw: "get CSIDriver driver.example: refused by the test", remedy: allowList},
		{name: "nodes cannot be read", check: checkDriver, manifests: []string{deploytest.Inline}, cluster: []runtime.Object{both}, refuse: "csinodes",
			state: report.CheckUnknown, saw: "list the CSINodes: refused by the test", remedy: allowList},
		{name: "no volume", check: checkDriver, manifests: []string{emptyDir}, state: report.CheckUnknown, saw: "no manifest leads to a CSI driver",
			remedy: "mount a CSI volume, an ephemeral volume or a claim of a class that is there"},

		{name: "class there", check: checkClass, manifests: []string{deploytest.Inline, deploytest.Claim}, cluster: []runtime.Object{class("pmem")},
			state: report.CheckPassed, saw: "class pmem of driver.example"},
		{name: "class in the manifest", check: checkClass, manifests: []string{ownClass}, state: report.CheckPassed, saw: "class pmem of driver.example"},
		{name: "no class wanted", check: checkClass, manifests: []string{deploytest.Inline}, state: report.CheckPassed, saw: "no manifest needs a class"},
		{name: "no class", check: checkClass, manifests: []string{deploytest.Claim}, cluster: []runtime.Object{class("slow")},
			state: report.CheckFailed, saw: `storage class "pmem", which StatefulSet/cache in first asks for, is absent; the cluster has: slow`, remedy: installClass},
		{name: "no default class", check: checkClass, manifests: []string{defaultClass}, cluster: []runtime.Object{class("slow")},
			state: report.CheckFailed, saw: `a default storage class, which StatefulSet/cache in first asks for, is absent; the cluster has: slow`, remedy: installClass},
		{name: "classes cannot be read", check: checkClass, manifests: []string{deploytest.Claim}, refuse: "storageclasses",
			state: report.CheckUnknown, saw: "list the storage classes: refused by the test", remedy: allowList},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := fake.NewClientset(test.cluster...)
			if test.refuse != "" {
				refusing(client, "*", test.refuse)
			}
			compare(t, test.check(t.Context(), subject(t, client, test.manifests...)), test.state, test.saw, test.remedy)
		})
	}
}

func TestPMEM(t *testing.T) {
	pod := driverPod("worker", corev1.ConditionTrue)
	free := map[string]int64{"worker": 300 << 20, "small": 100 << 20}
	for _, test := range []struct {
		name     string
		manifest string
		cluster  []runtime.Object
		refuse   string
		state    report.CheckState
		saw      string
		remedy   string
	}{
		{name: "fits", manifest: deploytest.Inline, cluster: []runtime.Object{pod, driverPod("small", corev1.ConditionTrue)},
			state: report.CheckPassed, saw: "200Mi for Deployment/cache in first, 300 MiB free on node worker"},
		{name: "fits on no node", manifest: deploytest.Inline, cluster: []runtime.Object{driverPod("small", corev1.ConditionTrue)},
			state: report.CheckFailed, saw: "Deployment/cache in first wants a volume of 200Mi, and node small has the most free with 100 MiB", remedy: makeRoom},
		{name: "claim fits", manifest: deploytest.Claim, cluster: []runtime.Object{class("pmem"), pod, capacity("pmem", "300Mi")},
			state: report.CheckPassed, saw: "200Mi for StatefulSet/cache in first, 300 MiB free on node worker"},
		{name: "claim fits by what is published", manifest: deploytest.Claim, cluster: []runtime.Object{class("pmem"), capacity("pmem", "300Mi")},
			state: report.CheckPassed, saw: "200Mi for StatefulSet/cache in first, the driver publishes 300 MiB for class pmem"},
		{name: "default class", manifest: defaultClass, cluster: []runtime.Object{&storagev1.StorageClass{
			ObjectMeta:  metav1.ObjectMeta{Name: "usual", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
			Provisioner: "driver.example"}, capacity("usual", "300Mi")},
			state: report.CheckPassed, saw: "200Mi for StatefulSet/cache in first, the driver publishes 300 MiB for class usual"},
		{name: "published is too little", manifest: deploytest.Claim, cluster: []runtime.Object{class("pmem"), capacity("pmem", "100Mi"), capacity("other", "1Gi")},
			state: report.CheckFailed, saw: "StatefulSet/cache in first wants a volume of 200Mi, and the driver publishes at most 100 MiB for class pmem", remedy: makeRoom},
		{name: "published is stale", manifest: deploytest.Claim, cluster: []runtime.Object{class("pmem"), pod, capacity("pmem", "0")},
			state: report.CheckFailed, saw: "StatefulSet/cache in first wants a volume of 200Mi, and the driver publishes at most 0 MiB for class pmem, although node worker has 300 MiB free",
			remedy: "restart the driver's pod on that node, which then publishes what it has"},
		{name: "node cannot be asked", manifest: deploytest.Inline, cluster: []runtime.Object{driverPod("broken", corev1.ConditionTrue)},
			state:  report.CheckUnknown,
			saw:    "could not determine how much persistent memory is free for Deployment/cache in first: node broken: refused by the test",
			remedy: askNodes},
		{name: "driver not ready", manifest: deploytest.Inline, cluster: []runtime.Object{driverPod("worker", corev1.ConditionFalse)},
			state:  report.CheckUnknown,
			saw:    "could not determine how much persistent memory is free for Deployment/cache in first: no PMEM-CSI pod on node worker is Ready: pmem-csi/driver-worker (Running)",
			remedy: askNodes},
		{name: "another driver", manifest: strings.ReplaceAll(deploytest.Inline, "driver.example", "other.example"), cluster: []runtime.Object{pod},
			state:  report.CheckUnknown,
			saw:    "could not determine how much persistent memory is free for Deployment/cache in first: no pod of PMEM-CSI belongs to the driver other.example",
			remedy: askNodes},
		{name: "nothing can be read", manifest: deploytest.Claim, cluster: []runtime.Object{class("pmem")}, refuse: "csistoragecapacities",
			state:  report.CheckUnknown,
			saw:    "could not determine how much persistent memory is free for StatefulSet/cache in first: no pod is labelled app.kubernetes.io/name=pmem-csi-node; install PMEM-CSI | list the CSIStorageCapacities: refused by the test",
			remedy: askNodes},
		{name: "no size", manifest: sizeless, cluster: []runtime.Object{pod}, state: report.CheckUnknown,
			saw: "Deployment/cache in first does not state the size of its volume", remedy: "write the size into the manifest"},
		{name: "no volume", manifest: emptyDir, cluster: []runtime.Object{pod}, state: report.CheckUnknown,
			saw: "Deployment/cache in first has no volume of a CSI driver", remedy: "mount a CSI volume, an ephemeral volume or a claim"},
		{name: "no class", manifest: deploytest.Claim, cluster: []runtime.Object{pod}, state: report.CheckUnknown,
			saw:    `could not determine the driver of StatefulSet/cache in first: storage class "pmem", which StatefulSet/cache in first asks for, is absent; the cluster has: none`,
			remedy: "fix the storage class first"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := fake.NewClientset(test.cluster...)
			if test.refuse != "" {
				refusing(client, "*", test.refuse)
			}
			f := examinePMEM(t.Context(), subject(t, client, test.manifest), func(_ context.Context, d *pmem.NodeDriver) (int64, error) {
				if bytes, ok := free[d.Node]; ok {
					return bytes, nil
				}
				return 0, errors.New("node " + d.Node + ": refused by the test")
			})
			compare(t, f, test.state, test.saw, test.remedy)
		})
	}
}

func TestAPI(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"major":"1","minor":"36","gitVersion":"v1.36.3"}`))
	}))
	config := &rest.Config{Host: server.URL}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	s := Subject{Cluster: &cluster.Cluster{Config: config, Client: client}}
	compare(t, checkAPI(t.Context(), s), report.CheckPassed, "Kubernetes v1.36.3", "")
	server.Close()
	f := checkAPI(t.Context(), s)
	if f.state != report.CheckFailed || !strings.HasPrefix(f.saw, "asking the API server "+server.URL+" for its version: ") ||
		f.remedy != "see that the cluster runs and that the kubeconfig is its" {
		t.Errorf("%+v", f)
	}
}

func TestRun(t *testing.T) {
	saying := func(f finding) func(context.Context, Subject) finding {
		return func(context.Context, Subject) finding { return f }
	}
	checks := []check{
		{"good", saying(finding{state: report.CheckPassed, saw: "fine", facts: []report.Fact{{Name: "a"}}})},
		{"bad", saying(failed("mend it", "broken"))},
		{"panics", func(context.Context, Subject) finding { panic("nil map") }},
		{"left", saying(failed("mend it", "broken"))},
	}
	results, facts := run(t.Context(), checks, Subject{}, []string{"left"})
	want := []report.Check{
		{Name: "good", State: report.CheckPassed, Saw: "fine"},
		{Name: "bad", State: report.CheckFailed, Saw: "broken", Remedy: "mend it"},
		{Name: "panics", State: report.CheckUnknown, Saw: "the check itself broke: nil map", Remedy: broken},
		{Name: "left", State: report.CheckSkipped, Saw: "left out on request", Remedy: "run without left in SKIP_PREFLIGHT to have it examined"},
	}
	for i := range results {
		results[i].Took = 0
	}
	if !slices.Equal(results, want) {
		t.Errorf("got  %+v\nwant %+v", results, want)
	}
	if len(facts) != 1 || facts[0].Name != "a" {
		t.Errorf("facts %+v", facts)
	}
	if err := Failed(results); err == nil || err.Error() != "check bad: broken; mend it (SKIP_PREFLIGHT=bad leaves the check out)" {
		t.Errorf("error %v", err)
	}
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	checks := []check{{"late", func(context.Context, Subject) finding {
		cancel(errors.New("interrupted by a signal"))
		return failed("mend it", "refused")
	}}}
	results, _ := run(ctx, checks, Subject{}, nil)
	r := results[0]
	if r.State != report.CheckUnknown || r.Remedy != notAsked || r.Saw != "the check was cut short: interrupted by a signal; it last saw: refused" {
		t.Errorf("%+v", r)
	}
	// What was found before stands.
	checks[0].run = func(context.Context, Subject) finding { return passed("fine") }
	if results, _ := run(ctx, checks, Subject{}, nil); results[0].State != report.CheckPassed {
		t.Errorf("%+v", results[0])
	}
}

func TestRunSkipsAll(t *testing.T) {
	results, facts := Run(t.Context(), Subject{}, Names())
	if len(results) != 6 || len(facts) > 0 {
		t.Fatalf("%+v, %+v", results, facts)
	}
	for _, r := range results {
		if r.State != report.CheckSkipped {
			t.Errorf("%+v", r)
		}
	}
}

func TestValidateSkips(t *testing.T) {
	if err := ValidateSkips([]string{"pmem", "images"}); err != nil {
		t.Error(err)
	}
	if err := ValidateSkips([]string{"imags", "pmem"}); err == nil || err.Error() != `"imags" is no check; did you mean images? There are api, rights, driver, class, pmem, images` {
		t.Errorf("error %v", err)
	}
}
