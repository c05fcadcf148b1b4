package addons

import (
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/topology"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

// An unknown field in the lab's own YAML is an error here, not a surprise in
// the cluster.
func TestCoreDNSIsValid(t *testing.T) {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	kinds := map[string]int{}
	for _, doc := range strings.Split(corednsYAML, "\n---\n") {
		obj, kind, err := strict.Decode([]byte(doc), nil, nil)
		if err != nil {
			t.Errorf("%v in\n%s", err, doc)
			continue
		}
		kinds[kind.Kind]++
		if service, ok := obj.(*corev1.Service); ok && service.Spec.ClusterIP != topology.DNSService {
			t.Errorf("cluster DNS is %s, the kubelet gives pods %s", service.Spec.ClusterIP, topology.DNSService)
		}
	}
	for _, kind := range []string{"Deployment", "Service", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"} {
		if kinds[kind] != 1 {
			t.Errorf("%d objects of kind %s, want 1", kinds[kind], kind)
		}
	}
}

func TestShortenDelay(t *testing.T) {
	set := &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "driver", Args: []string{"-v=3"}}, {Name: "provisioner", Args: []string{"--node-deployment=true"}},
	}}}}}
	if err := ShortenDelay(set); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"-v=3", "--node-deployment=true --node-deployment-base-delay=1s"} {
		if got := strings.Join(set.Spec.Template.Spec.Containers[i].Args, " "); got != want {
			t.Errorf("container %d: arguments %s, want %s", i, got, want)
		}
	}
}

func TestAllowNewProvisioner(t *testing.T) {
	role := &rbacv1.ClusterRole{Rules: []rbacv1.PolicyRule{
		{Resources: []string{"persistentvolumes"}, Verbs: []string{"get", "delete"}},
		{Resources: []string{"nodes"}, Verbs: []string{"get"}},
		{Resources: []string{"persistentvolumes"}, Verbs: []string{"get"}},
	}}
	if err := allowNewProvisioner(role); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"get,delete,patch", "get", "get"} {
		if got := strings.Join(role.Rules[i].Verbs, ","); got != want {
			t.Errorf("rule %d: verbs %s, want %s", i, got, want)
		}
	}
}

func TestLabImages(t *testing.T) {
	daemons := &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Name: "driver", Image: "intel/pmem-csi-driver:v1.1.0"},
		{Name: "provisioner", Image: "registry.k8s.io/sig-storage/csi-provisioner:v3.2.1"},
	}}}}}
	if err := UseImages(labImage)(daemons); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{artifact.DriverImage.Reference(), artifact.ProvisionerImage.Reference()} {
		if got := daemons.Spec.Template.Spec.Containers[i].Image; got != want {
			t.Errorf("image = %s, want %s", got, want)
		}
	}
	daemons.Spec.Template.Spec.Containers[0].Image = "example.org/unknown:1"
	if err := UseImages(labImage)(daemons); err == nil || !strings.Contains(err.Error(), "example.org/unknown:1") {
		t.Errorf("unknown image: %v", err)
	}
}
