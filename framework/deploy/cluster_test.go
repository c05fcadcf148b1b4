package deploy

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/wait"
)

var quick = wait.Waiter{Scale: wait.Scale{All: 0.001}, Interval: time.Millisecond}

func claim(name, volume string, owner ...metav1.OwnerReference) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID("uid-" + name), OwnerReferences: owner},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: volume},
	}
}

func volume(name, claim string, policy corev1.PersistentVolumeReclaimPolicy) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			ClaimRef: &corev1.ObjectReference{UID: types.UID("uid-" + claim)}, PersistentVolumeReclaimPolicy: policy, StorageClassName: "fast"},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
}

// deployment is the one of testdata/persistent.txtar on a cluster with the given objects.
func deployment(t *testing.T, objects ...runtime.Object) (*Deployment, *fake.Clientset) {
	t.Helper()
	dir, _ := extract(t, "testdata/persistent.txtar")
	m, err := Load(dir, Changes{Namespace: "n"})
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset(objects...)
	d := &Deployment{Manifest: m, cluster: &cluster.Cluster{Client: client}, waiter: quick, volumes: map[string]types.UID{}}
	d.created = []*unstructured.Unstructured{{Object: map[string]any{"kind": "StatefulSet"}}}
	return d, client
}

func TestClaims(t *testing.T) {
	d, _ := deployment(t,
		claim("memcached-data-volume-pmem-memcached-0", "pv-0"),
		claim("memcached-data-volume-pmem-memcached-12", ""),
		claim("memcached-data-volume-pmem-memcached-x", ""),
		claim("memcached-data-volume-pmem-memcached-0-0", ""),
		claim("other", "pv-other"),
		claim("foreign", ""))
	claims, err := d.Claims(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range claims {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	if want := []string{"memcached-data-volume-pmem-memcached-0", "memcached-data-volume-pmem-memcached-12", "other"}; !slices.Equal(names, want) {
		t.Errorf("claims %q, want %q", names, want)
	}
	if len(d.volumes) != 1 || d.volumes["pv-0"] == "" {
		t.Errorf("volumes that go with the deployment: %v, want pv-0 alone", d.volumes)
	}
}

func TestEphemeralClaim(t *testing.T) {
	m := &Manifest{Name: "a"}
	m.template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
	owner := func(kind, name string) metav1.OwnerReference {
		return metav1.OwnerReference{Kind: kind, Name: name, Controller: ptr.To(true)}
	}
	for name, test := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  bool
	}{
		"of the pod":        {claim("a-1-data", "", owner("Pod", "a-1")), true},
		"of another volume": {claim("a-1-log", "", owner("Pod", "a-1")), false},
		"of another pod":    {claim("b-1-data", "", owner("Pod", "b-1")), false},
		"without owner":     {claim("a-1-data", ""), false},
	} {
		if m.owns(*test.claim) != test.want {
			t.Errorf("%s: want %t", name, test.want)
		}
	}
}

func TestDeleteClaims(t *testing.T) {
	t.Run("until the volumes are gone", func(t *testing.T) {
		d, client := deployment(t, claim("memcached-data-volume-pmem-memcached-0", "pv-0"), claim("other", "pv-other"),
			volume("pv-0", "memcached-data-volume-pmem-memcached-0", corev1.PersistentVolumeReclaimDelete),
			volume("pv-other", "other", corev1.PersistentVolumeReclaimDelete))
		asked := 0
		client.PrependReactor("get", "persistentvolumes", func(ktesting.Action) (bool, runtime.Object, error) {
			if asked++; asked == 3 {
				return false, nil, client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("persistentvolumes"), "", "pv-0")
			}
			return false, nil, nil
		})
		if err := d.DeleteClaims(t.Context()); err != nil || asked < 3 {
			t.Errorf("asked %d times, %v", asked, err)
		}
		if _, err := client.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "other", metav1.GetOptions{}); err != nil {
			t.Errorf("a claim that the manifest only refers to: %v", err)
		}
	})
	t.Run("volume stays", func(t *testing.T) {
		d, _ := deployment(t, claim("memcached-data-volume-pmem-memcached-0", "pv-0"),
			volume("pv-0", "memcached-data-volume-pmem-memcached-0", corev1.PersistentVolumeReclaimDelete))
		err := d.DeleteClaims(t.Context())
		if want := "waited 120ms for the removal of 1 claims of StatefulSet n/pmem-memcached and their volumes: last seen persistent volume pv-0 Released"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	})
	t.Run("volume is retained", func(t *testing.T) {
		d, _ := deployment(t, claim("memcached-data-volume-pmem-memcached-0", "pv-0"),
			volume("pv-0", "memcached-data-volume-pmem-memcached-0", corev1.PersistentVolumeReclaimRetain))
		err := d.DeleteClaims(t.Context())
		if want := "persistent volume pv-0 stays, because its class fast retains volumes; delete it by hand or use a class with reclaimPolicy Delete"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	})
	t.Run("the claim went before", func(t *testing.T) {
		d, client := deployment(t, claim("memcached-data-volume-pmem-memcached-0", "pv-0"),
			volume("pv-0", "memcached-data-volume-pmem-memcached-0", corev1.PersistentVolumeReclaimDelete))
		if _, err := d.Claims(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := client.CoreV1().PersistentVolumeClaims("n").Delete(t.Context(), "memcached-data-volume-pmem-memcached-0", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := d.DeleteClaims(t.Context()); err == nil || !strings.Contains(err.Error(), "persistent volume pv-0 Released") {
			t.Errorf("error %v, want one that names the volume left", err)
		}
	})
}

func TestReadyTellsWhatWasSeen(t *testing.T) {
	p := pod("pmem-memcached-0", corev1.PodRunning, false, terminated(1, 2))
	p.Namespace, p.Labels = "n", map[string]string{"app": "cache"}
	e := event("BackOff", "Back-off restarting failed container", p.Name)
	e.Namespace, e.Type, e.InvolvedObject.UID = "n", corev1.EventTypeWarning, p.UID
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "pmem-memcached", UID: "uid-set"}}
	d, _ := deployment(t, &p, &e, set)
	err := d.Ready(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"waiting for StatefulSet n/pmem-memcached to be ready ended after ",
		"container memcached of pod pmem-memcached-0 has ended 2 times: terminated: Error, exit code 1, 2 restarts",
		"\npod pmem-memcached-0: Running\n",
		"\n    | fake logs\n",
		"\nwarning (3 times) BackOff of Pod pmem-memcached-0: Back-off restarting failed container",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

func TestNamespace(t *testing.T) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "default"}}
	client := fake.NewClientset(account)
	c := &cluster.Cluster{Client: client}
	var l ledger.Ledger
	if err := Namespace(t.Context(), c, quick, &l, "n", metav1.ObjectMeta{Labels: map[string]string{"a": "b", corev1.LabelMetadataName: "as-written"}, Annotations: map[string]string{"c": "d"}}); err != nil {
		t.Fatal(err)
	}
	ns, err := client.CoreV1().Namespaces().Get(t.Context(), "n", metav1.GetOptions{})
	if err != nil || ns.Labels["a"] != "b" || ns.Annotations["c"] != "d" || ns.Labels[corev1.LabelMetadataName] != "" {
		t.Errorf("namespace %+v, %v", ns, err)
	}
	err = Namespace(t.Context(), c, quick, new(ledger.Ledger), "n", metav1.ObjectMeta{})
	if want := `creating namespace n: namespaces "n" already exists; remove it or choose another name`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "n", metav1.GetOptions{}); err == nil {
		t.Error("the namespace is still there")
	}

	err = Namespace(t.Context(), c, quick, &l, "m", metav1.ObjectMeta{})
	if want := "waited 60ms for the default service account of namespace m: last seen no service account; the controller manager makes it"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
