package manifests_test

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"pmem-memcached-e2e/manifests"
)

// objects is what a kustomization renders to, decoded strictly.
type objects struct {
	Service     *corev1.Service
	Deployment  *appsv1.Deployment
	StatefulSet *appsv1.StatefulSet
	ConfigMap   *corev1.ConfigMap
}

func (o objects) template(t *testing.T) *corev1.PodTemplateSpec {
	t.Helper()
	switch {
	case o.Deployment != nil && o.StatefulSet == nil:
		return &o.Deployment.Spec.Template
	case o.StatefulSet != nil && o.Deployment == nil:
		return &o.StatefulSet.Spec.Template
	}
	t.Fatal("want exactly one Deployment or StatefulSet")
	return nil
}

// render builds the embedded kustomization base or, when overlay is not empty,
// an overlay of the given files on it.
func render(t *testing.T, base string, overlay map[string]string) objects {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	err := fs.WalkDir(manifests.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := manifests.FS.ReadFile(path)
		if err != nil {
			return err
		}
		return memory.WriteFile("/manifests/"+path, data)
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := "/manifests/" + base
	if len(overlay) > 0 {
		dir = "/overlay"
		for name, text := range overlay {
			if err := memory.WriteFile(dir+"/"+name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, dir)
	if err != nil {
		t.Fatalf("kustomization %s does not render: %v", dir, err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func decode(t *testing.T, text []byte) objects {
	t.Helper()
	var all objects
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := strict.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("not valid for its API type: %v\n%s", err, document)
		}
		all.add(t, object)
	}
}

func (o *objects) add(t *testing.T, object runtime.Object) {
	t.Helper()
	var again bool
	switch object := object.(type) {
	case *corev1.Service:
		again, o.Service = o.Service != nil, object
	case *appsv1.Deployment:
		again, o.Deployment = o.Deployment != nil, object
	case *appsv1.StatefulSet:
		again, o.StatefulSet = o.StatefulSet != nil, object
	case *corev1.ConfigMap:
		again, o.ConfigMap = o.ConfigMap != nil, object
	default:
		t.Fatalf("rendered a %T, which no base has", object)
	}
	if again {
		t.Fatalf("rendered more than one %T", object)
	}
}

var labels = map[string]string{
	"app.kubernetes.io/kind": "memcached",
	"app.kubernetes.io/name": "pmem-memcached",
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

// TestContract holds what overlays, clients and clean-up commands rely on.
func TestContract(t *testing.T) {
	for _, test := range []struct{ base, volume string }{
		{"ephemeral", "data-volume"},
		{"persistent", "memcached-data-volume"},
	} {
		t.Run(test.base, func(t *testing.T) {
			all := render(t, test.base, nil)
			pod := all.template(t)

			service := all.Service
			equal(t, "service", service.Namespace+"/"+service.Name, "default/pmem-memcached")
			equal(t, "service type", service.Spec.Type, corev1.ServiceTypeClusterIP)
			equal(t, "service selector", service.Spec.Selector, labels)
			equal(t, "service ports", len(service.Spec.Ports), 1)
			port := service.Spec.Ports[0]
			equal(t, "service port", port.Name, "db")
			equal(t, "service port", port.Port, int32(11211))
			equal(t, "service target port", port.TargetPort.String(), "db")

			equal(t, "pod labels", pod.Labels, labels)
			equal(t, "containers", len(pod.Spec.Containers), 1)
			memcached := pod.Spec.Containers[0]
			equal(t, "container", memcached.Name, "memcached")
			equal(t, "first variable", memcached.Env[0], corev1.EnvVar{Name: "MEMCACHED_ARGS"})
			equal(t, "container port name", memcached.Ports[0].Name, "db")
			equal(t, "container port", memcached.Ports[0].ContainerPort, int32(11211))
			equal(t, "probe port", memcached.ReadinessProbe.TCPSocket.Port.String(), "db")
			equal(t, "command", memcached.Command, []string{"sh", "/scripts/memcached-wrapper.sh", test.base})
			for _, container := range append(pod.Spec.InitContainers, memcached) {
				equal(t, container.Name+" first mount", container.VolumeMounts[0],
					corev1.VolumeMount{Name: test.volume, MountPath: "/data"})
				equal(t, container.Name+" image", container.Image, memcached.Image)
			}

			scripts := pod.Spec.Volumes[len(pod.Spec.Volumes)-1]
			equal(t, "mounted scripts", scripts.ConfigMap.Name, all.ConfigMap.Name)
			equal(t, "scripts' namespace", all.ConfigMap.Namespace, "default")
			for _, script := range scriptNames {
				if all.ConfigMap.Data[script] != readScript(t, script) {
					t.Errorf("config map %s has no or another %s", all.ConfigMap.Name, script)
				}
			}
		})
	}

	t.Run("inline volume", func(t *testing.T) {
		deployment := render(t, "ephemeral", nil).Deployment
		equal(t, "deployment", deployment.Namespace+"/"+deployment.Name, "default/pmem-memcached")
		equal(t, "selector", deployment.Spec.Selector.MatchLabels, labels)
		volume := deployment.Spec.Template.Spec.Volumes[0]
		equal(t, "first volume", volume.Name, "data-volume")
		equal(t, "driver", volume.CSI.Driver, "pmem-csi.intel.com")
		equal(t, "attributes", volume.CSI.VolumeAttributes, map[string]string{"size": "200Mi"})
		equal(t, "filesystem", *volume.CSI.FSType, "ext4")
	})

	t.Run("claim template", func(t *testing.T) {
		set := render(t, "persistent", nil).StatefulSet
		equal(t, "stateful set", set.Namespace+"/"+set.Name, "default/pmem-memcached")
		equal(t, "service name", set.Spec.ServiceName, "pmem-memcached")
		equal(t, "selector", set.Spec.Selector.MatchLabels, labels)
		equal(t, "claim templates", len(set.Spec.VolumeClaimTemplates), 1)
		claim := set.Spec.VolumeClaimTemplates[0]
		equal(t, "claim", claim.Name, "memcached-data-volume")
		equal(t, "access modes", claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce})
		equal(t, "class", *claim.Spec.StorageClassName, "pmem-csi-sc-ext4")
		equal(t, "storage", claim.Spec.Resources.Requests.Storage().String(), "200Mi")
		equal(t, "grace period", *set.Spec.Template.Spec.TerminationGracePeriodSeconds, int64(300))
	})
}

// TestOverlay applies the overlay of PMEM-CSI's documentation in the form that
// it has there and in the form that kustomize asks for today.
func TestOverlay(t *testing.T) {
	const patch = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: pmem-memcached
spec:
  template:
    spec:
      containers:
      - name: memcached
        env:
        - name: MEMCACHED_ARGS
          value: --conn-limit=500
      volumes:
      - name: data-volume
        csi:
          volumeAttributes:
            size: 500Mi
`
	for name, kustomization := range map[string]string{
		"documented": `
namespace: demo
bases:
- ../manifests/ephemeral
patchesStrategicMerge:
- update-deployment.yaml
`,
		"current": `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: demo
resources:
- ../manifests/ephemeral
patches:
- path: update-deployment.yaml
`,
	} {
		t.Run(name, func(t *testing.T) {
			got := render(t, "ephemeral", map[string]string{
				"kustomization.yaml": kustomization, "update-deployment.yaml": patch,
			})
			want := render(t, "ephemeral", nil)
			want.Service.Namespace = "demo"
			want.ConfigMap.Namespace = "demo"
			want.Deployment.Namespace = "demo"
			want.Deployment.Spec.Template.Spec.Containers[0].Env[0].Value = "--conn-limit=500"
			want.Deployment.Spec.Template.Spec.Volumes[0].CSI.VolumeAttributes["size"] = "500Mi"
			equal(t, "service", got.Service, want.Service)
			equal(t, "scripts", got.ConfigMap, want.ConfigMap)
			equal(t, "deployment", got.Deployment, want.Deployment)
		})
	}
}

// TestClaimOverlay patches the size of the claim by its index and the arguments
// by theirs, as overlays for the persistent base do.
func TestClaimOverlay(t *testing.T) {
	got := render(t, "persistent", map[string]string{"kustomization.yaml": `
namespace: demo
resources:
- ../manifests/persistent
patches:
- target:
    kind: StatefulSet
    name: pmem-memcached
  patch: |
    - op: replace
      path: /spec/volumeClaimTemplates/0/spec/resources/requests/storage
      value: 500Mi
    - op: replace
      path: /spec/template/spec/containers/0/env/0/value
      value: --conn-limit=500
`})
	want := render(t, "persistent", nil)
	want.StatefulSet.Namespace = "demo"
	want.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage] =
		got.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests[corev1.ResourceStorage]
	want.StatefulSet.Spec.Template.Spec.Containers[0].Env[0].Value = "--conn-limit=500"
	equal(t, "storage", got.StatefulSet.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String(), "500Mi")
	equal(t, "stateful set", got.StatefulSet, want.StatefulSet)
}

// TestUnknownField proves that the strict decoding of render can fail.
func TestUnknownField(t *testing.T) {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	_, _, err := strict.Decode([]byte("apiVersion: v1\nkind: Service\nspec:\n  selektor: {}\n"), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "selektor") {
		t.Fatalf("got error %v, want one that names the unknown field selektor", err)
	}
}
