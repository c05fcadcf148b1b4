package run

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
)

const service = `
---
apiVersion: v1
kind: Service
metadata: {name: cache}
spec:
  selector: {app: cache}
  ports: [{port: 11211}]
`

const inlineWorkload = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: cache}
spec:
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache}}
    spec:
      containers:
      - {name: memcached, image: "memcached:1", volumeMounts: [{name: data, mountPath: /data}]}
      volumes:
      - {name: data, csi: {driver: driver.example, volumeAttributes: {size: 200Mi}}}
` + service

const claimWorkload = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: cache}
spec:
  serviceName: cache
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache}}
    spec:
      containers:
      - {name: memcached, image: "memcached:1", volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      storageClassName: pmem
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 200Mi}}
` + service

const ownClass = claimWorkload + `
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: pmem}
provisioner: driver.example
`

func kustomization(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"kustomization.yaml": "resources: [all.yaml]\n", "all.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func driver(modes ...storagev1.VolumeLifecycleMode) *storagev1.CSIDriver {
	return &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: "driver.example"},
		Spec:       storagev1.CSIDriverSpec{VolumeLifecycleModes: modes},
	}
}

func class(name string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "driver.example"}
}

func TestPreflight(t *testing.T) {
	node := &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: "worker"},
		Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: "driver.example"}}},
	}
	bare := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "worker"}}
	both := driver(storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)
	tests := []struct {
		name     string
		manifest string
		cluster  []runtime.Object
		want     []string // parts of the error; none: fit
	}{
		{"inline fits", inlineWorkload, []runtime.Object{both, node}, nil},
		{"claim fits", claimWorkload, []runtime.Object{both, node, class("pmem")}, nil},
		{"claim of a class in the manifest fits", ownClass, []runtime.Object{both, node}, nil},
		{"no driver", inlineWorkload, nil, []string{"driver.example", "absent", "deploy PMEM-CSI"}},
		{"no inline volumes", inlineWorkload, []runtime.Object{driver(storagev1.VolumeLifecyclePersistent), node}, []string{"no inline volumes", "Persistent"}},
		{"claims need none", claimWorkload, []runtime.Object{driver(storagev1.VolumeLifecyclePersistent), node, class("pmem")}, nil},
		{"driver on no node", inlineWorkload, []runtime.Object{both, bare}, []string{"runs on no node", "worker"}},
		{"no class", claimWorkload, []runtime.Object{both, node, class("slow")}, []string{`"pmem"`, "absent", "the cluster has: slow", "StatefulSet/cache"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := deploy.Load(kustomization(t, tt.manifest), deploy.Changes{})
			if err != nil {
				t.Fatal(err)
			}
			c := &cluster.Cluster{Client: fake.NewClientset(tt.cluster...)}
			err = preflight(t.Context(), c, []*deploy.Manifest{m})
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("preflight() = %v, want an error: %v", err, len(tt.want) > 0)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not mention %q", err, part)
				}
			}
		})
	}
}
