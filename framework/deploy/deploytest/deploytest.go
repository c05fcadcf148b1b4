// Package deploytest has small kustomizations for the tests of other packages.
package deploytest

import (
	"os"
	"path/filepath"
	"testing"

	"pmem-memcached-e2e/framework/deploy"
)

// Service selects the pods of both workloads.
const Service = `
---
apiVersion: v1
kind: Service
metadata: {name: cache}
spec:
  selector: {app: cache}
  ports: [{port: 11211}]
`

// Inline is a Deployment with an inline volume of 200Mi from driver.example, and a Service.
const Inline = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: cache}
spec:
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache}}
    spec:
      tolerations: [{key: pmem, operator: Exists}]
      initContainers:
      - {name: init, image: "memcached:1"}
      containers:
      - name: memcached
        image: memcached:1
        command: [sh, /scripts/memcached-wrapper.sh, ephemeral]
        env: [{name: MEMCACHED_ARGS, value: "-t 2"}]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes:
      - {name: data, csi: {driver: driver.example, fsType: ext4, volumeAttributes: {size: 200Mi}}}
` + Service

// Claim is a StatefulSet that claims 200Mi of the class pmem, and a Service.
const Claim = `
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
` + Service

// Dir returns a new directory with a kustomization of text.
func Dir(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"kustomization.yaml": "resources: [all.yaml]\n", "all.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Load renders text. The manifest's directory is called name, which does not change from run to run.
func Load(t *testing.T, name, text string) *deploy.Manifest {
	t.Helper()
	m, err := deploy.Load(Dir(t, text), deploy.Changes{})
	if err != nil {
		t.Fatal(err)
	}
	m.Dir = name
	return m
}
