package deploy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func forms(t *testing.T, ch Changes) *Manifest {
	t.Helper()
	dir, _ := extract(t, "testdata/forms.txtar")
	m, err := Load(dir, ch)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFormAsWritten(t *testing.T) {
	m := forms(t, Changes{})
	if m.Service != "for-clients" || m.ServicePort != 80 {
		t.Errorf("clients use Service %s:%d", m.Service, m.ServicePort)
	}
	if v, err := m.Volume(); err != nil || v.Name != "data" || v.Class != "own" {
		t.Errorf("volume %+v, %v", v, err)
	}
	args, ok := m.Env(ArgsVariable)
	if !ok || args.Value != "-p 11300 -I 2m" || args.From != "ConfigMap/settings" || args.Secret() {
		t.Errorf("arguments %+v, %t", args, ok)
	}
	if m.Replicas() != 3 || m.FirstOrdinal() != 4 || len(m.Adjusted) > 0 {
		t.Errorf("%d replicas from %d, adjusted %q", m.Replicas(), m.FirstOrdinal(), m.Adjusted)
	}
	if m.Home.Labels["pod-security.kubernetes.io/enforce"] != "restricted" || m.Home.Annotations["scheduler.alpha.kubernetes.io/node-selector"] != "pool=cache" {
		t.Errorf("home %+v", m.Home)
	}
	// The pod does not show the variable, so that an annotation reports it.
	pod := &corev1.Pod{ObjectMeta: m.Template().ObjectMeta, Spec: m.Template().Spec}
	if Port(pod) != 11300 {
		t.Errorf("port %d", Port(pod))
	}
}

// TestTwoCopies renders the deployment for two namespaces, in which nothing of the cluster's scope may have
// the same name, and every reference has to follow.
func TestTwoCopies(t *testing.T) {
	one, two := forms(t, Changes{Namespace: "e2e-1"}), forms(t, Changes{Namespace: "e2e-2"})
	names := map[string]bool{}
	for _, o := range append(slices.Clone(one.Objects), two.Objects...) {
		key := title(o)
		if names[key] && o.GetKind() != "CustomResourceDefinition" {
			t.Errorf("%s is in both copies", key)
		}
		names[key] = true
	}
	template := one.Template()
	if template.Spec.PriorityClassName != "cache-first-e2e-1" || *template.Spec.RuntimeClassName != "gvisor" {
		t.Errorf("priority class %s, runtime class %s", template.Spec.PriorityClassName, *template.Spec.RuntimeClassName)
	}
	if v, err := one.Volume(); err != nil || v.Class != "own-e2e-1" {
		t.Errorf("class of the volume %s, %v", v.Class, err)
	}
	class := find(t, one, "StorageClass", "own-e2e-1")
	if class.GetAnnotations()[defaultClass] != "" {
		t.Error("a copy of a class is the default of the cluster")
	}
	claims, _, _ := unstructured.NestedSlice(one.workload().Object, claimTemplates...)
	if got, _, _ := unstructured.NestedString(claims[0].(map[string]any), "spec", "storageClassName"); got != "own-e2e-1" {
		t.Errorf("a claim without a class, which had the default, has %q", got)
	}
	role, _, _ := unstructured.NestedString(find(t, one, "ClusterRoleBinding", "reads-e2e-1").Object, "roleRef", "name")
	if role != "reader-e2e-1" {
		t.Errorf("the binding refers to %s", role)
	}
	ingress, _, _ := unstructured.NestedSlice(find(t, one, "NetworkPolicy", "own-namespace").Object, "spec", "ingress")
	if !strings.Contains(fmt.Sprint(ingress), "kubernetes.io/metadata.name:e2e-1") {
		t.Errorf("the policy lets in %v", ingress)
	}
	if again, err := one.In("e2e-3"); err != nil || again.Template().Spec.PriorityClassName != "cache-first-e2e-3" {
		t.Errorf("in another namespace: %v", err)
	}
}

func TestGlobalDefaultOfCopies(t *testing.T) {
	pod := map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{}}}}}
	class := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
		"metadata": map[string]any{"name": "all"}, "globalDefault": true}}
	rename([]*unstructured.Unstructured{class, {Object: pod}}, "n")
	name, _, _ := unstructured.NestedString(pod, "spec", "template", "spec", "priorityClassName")
	if name != "all-n" || class.Object["globalDefault"] != nil {
		t.Errorf("the pod has %q, the class is %v", name, class.Object)
	}
}

func TestOneReplica(t *testing.T) {
	m := forms(t, Changes{Namespace: "n", Replicas: 1})
	var kinds []string
	for _, o := range m.Objects {
		if kind := o.GetKind(); kind == "HorizontalPodAutoscaler" || kind == "PodDisruptionBudget" {
			kinds = append(kinds, o.GetName())
		}
	}
	// A budget that allows no eviction of what is written either stays, for a spec to find.
	if !slices.Equal(kinds, []string{"all"}) || m.Replicas() != 1 || len(m.Adjusted) != 3 {
		t.Errorf("left %q, %d replicas, adjusted:\n%s", kinds, m.Replicas(), strings.Join(m.Adjusted, "\n"))
	}
	for _, want := range []string{"HorizontalPodAutoscaler cache is left out", "PodDisruptionBudget most is left out, because it allows 1 evictions with 3 replicas and none with 1",
		"StatefulSet cache has 3 replicas as written, and is examined with 1"} {
		if !strings.Contains(strings.Join(m.Adjusted, "\n"), want) {
			t.Errorf("not reported: %s", want)
		}
	}
}

func TestMemoryLimitOfMemcachedOnly(t *testing.T) {
	m := forms(t, Changes{MemoryLimit: resource.MustParse("32Mi")})
	spec := m.Template().Spec
	for _, c := range append(spec.InitContainers, spec.Containers...) {
		want := map[string]string{"shipper": "8Mi", "exporter": "16Mi", "memcached": "32Mi"}[c.Name]
		if got := c.Resources.Limits.Memory().String(); got != want {
			t.Errorf("%s is limited to %s, want %s", c.Name, got, want)
		}
	}
}

func TestCompanion(t *testing.T) {
	m := forms(t, Changes{Namespace: "n"})
	p := m.Companion("client-", corev1.Container{Name: "c"}, corev1.Container{Name: "busy", Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}}})
	theirs := m.Template().Spec
	if !reflect.DeepEqual(p.Spec.NodeSelector, theirs.NodeSelector) || !reflect.DeepEqual(p.Spec.Tolerations, theirs.Tolerations) ||
		p.Spec.PriorityClassName != "cache-first-n" || *p.Spec.RuntimeClassName != "gvisor" || p.Spec.ServiceAccountName != "cache" {
		t.Errorf("it runs elsewhere: %+v", p.Spec)
	}
	if p.Spec.Affinity.PodAntiAffinity != nil || !reflect.DeepEqual(p.Spec.Affinity.NodeAffinity, theirs.Affinity.NodeAffinity) {
		t.Errorf("affinity %+v", p.Spec.Affinity)
	}
	if *p.Spec.SecurityContext.RunAsUser != 4711 || p.Annotations["sidecar.istio.io/inject"] != "false" {
		t.Errorf("user %d, annotations %v", *p.Spec.SecurityContext.RunAsUser, p.Annotations)
	}
	if m.selector.Matches(labels.Set(p.Labels)) || p.Labels["app"] != owner || p.Labels["team"] != "blue" {
		t.Errorf("labels %v", p.Labels)
	}
	for _, c := range p.Spec.Containers {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
			if request.Sign() <= 0 || limit.Sign() <= 0 {
				t.Errorf("container %s states %+v", c.Name, c.Resources)
			}
		}
	}
	if limit := p.Spec.Containers[1].Resources.Limits; limit.Memory().String() != "512Mi" || limit.Cpu().String() != "2" {
		t.Errorf("the limits %v are not those of the container and of memcached", limit)
	}
	var made []string
	for _, o := range m.Prerequisites() {
		made = append(made, o.GetKind()+"/"+o.GetName())
	}
	slices.Sort(made)
	if want := []string{"PriorityClass/cache-first-n", "Secret/registry", "ServiceAccount/cache"}; !slices.Equal(made, want) {
		t.Errorf("prerequisites %q, want %q", made, want)
	}
}

func TestMissing(t *testing.T) {
	var got []string
	for _, r := range forms(t, Changes{}).Missing() {
		got = append(got, r.String())
	}
	want := []string{
		"PersistentVolumeClaim of-the-team, which is volume shared",
		"Secret credentials, which has variables of container memcached",
		"RuntimeClass gvisor, which the pods have",
	}
	if !slices.Equal(got, want) {
		t.Errorf("missing:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestListensOn(t *testing.T) {
	ports := []corev1.ContainerPort{{Name: "metrics", ContainerPort: 9150}, {ContainerPort: 11211}, {Name: "db", ContainerPort: 11222}, {Name: "memcache", ContainerPort: 1, Protocol: corev1.ProtocolUDP}}
	for _, tt := range []struct {
		args, env string
		ports     []corev1.ContainerPort
		want      int
	}{
		{"memcached -p 11300", "", ports, 11300},
		{"memcached -p11300", "", ports, 11300},
		{"memcached --port=11300", "", ports, 11300},
		{"memcached --port 11300 -I 2m", "", ports, 11300},
		{"sh -c 'exec memcached -p 11300'", "", ports, 11300},
		{"memcached -p 1", "-p 11300", ports, 11300},
		{"memcached -p $(PORT)", "", ports, 7},
		{"memcached", "-t 2", ports, 11222},
		{"memcached", "", ports[:2], 11211},
		{"memcached", "", ports[:1], 9150},
		{"memcached", "", ports[3:], 11211},
		{"memcached -p none", "", nil, 11211},
	} {
		c := corev1.Container{Args: []string{tt.args}, Ports: tt.ports, Env: []corev1.EnvVar{{Name: ArgsVariable, Value: tt.env}, {Name: "PORT", Value: "7"}}}
		if got := listensOn(c, literals(c)); got != tt.want {
			t.Errorf("%s, %q: %d, want %d", tt.args, tt.env, got, tt.want)
		}
	}
}

// TestAbsent asks a cluster whose controllers put a Secret into most namespaces.
func TestAbsent(t *testing.T) {
	var objects []client.Object
	for i := range 5 {
		ns := fmt.Sprintf("n%d", i)
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
		if i < 4 {
			objects = append(objects, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "credentials"}})
		}
	}
	objects = append(objects, &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "gvisor"}})
	byName := func(o client.Object) []string { return []string{o.GetName()} }
	cluster := func(objects []client.Object) client.Client {
		return fake.NewClientBuilder().WithObjects(objects...).WithIndex(&corev1.Secret{}, "metadata.name", byName).Build()
	}
	m := forms(t, Changes{})
	names := func(refs []Reference) (names []string) {
		for _, r := range refs {
			names = append(names, r.Name)
		}
		return names
	}
	if got := names(m.Absent(t.Context(), cluster(objects))); !slices.Equal(got, []string{"of-the-team"}) {
		t.Errorf("absent %q, want the claim only", got)
	}
	if got := names(m.Absent(t.Context(), cluster(objects[:4]))); !slices.Equal(got, []string{"of-the-team", "gvisor"}) {
		t.Errorf("absent %q, want the claim and the class", got)
	}
	few := append(slices.Clone(objects[:2]), objects[8])
	few = append(few, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n5"}})
	if got := names(m.Absent(t.Context(), cluster(few))); !slices.Contains(got, "credentials") {
		t.Errorf("absent %q, although one namespace of three has the Secret", got)
	}
}

func TestStand(t *testing.T) {
	m := forms(t, Changes{Namespace: "n"})
	of := func(field string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: field}}
	}
	memcached := MemcachedContainer(m.Template().Spec)
	memcached.Env = append(memcached.Env, corev1.EnvVar{Name: "POD_NAME", ValueFrom: of("metadata.name")},
		corev1.EnvVar{Name: "INDEX", ValueFrom: of("metadata.labels['apps.kubernetes.io/pod-index']")}, corev1.EnvVar{Name: "NODE", ValueFrom: of("spec.nodeName")})
	original := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "cache-4", Labels: map[string]string{"apps.kubernetes.io/pod-index": "4"}}, Spec: m.Template().Spec}
	original.Spec.NodeName, original.Spec.Hostname, original.Spec.Subdomain = "worker", "cache-4", "peers"
	p := m.Stand(original, "stand-", memcached)
	if len(p.Spec.Containers) != 1 || len(p.Spec.InitContainers) != 0 || p.Spec.NodeName != "" || p.Spec.Hostname != "" || p.Spec.Affinity.PodAntiAffinity != nil {
		t.Errorf("%+v", p.Spec)
	}
	c := p.Spec.Containers[0]
	if !reflect.DeepEqual(c.VolumeMounts, memcached.VolumeMounts) || c.VolumeMounts[1].SubPath != "of-memcached" || !reflect.DeepEqual(p.Spec.Volumes, original.Spec.Volumes) {
		t.Errorf("other mounts: %+v of %+v", c.VolumeMounts, p.Spec.Volumes)
	}
	if value, ok := literals(c)("POD_NAME"); !ok || value != "cache-4" {
		t.Errorf("POD_NAME=%q", value)
	}
	if value, ok := literals(c)("INDEX"); !ok || value != "4" {
		t.Errorf("INDEX=%q", value)
	}
	if _, ok := literals(c)("NODE"); ok {
		t.Error("the name of the node, which the stand has, was replaced")
	}
	if m.selector.Matches(labels.Set(p.Labels)) {
		t.Errorf("labels %v are selected", p.Labels)
	}
}
