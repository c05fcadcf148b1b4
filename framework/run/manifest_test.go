package run

import (
	"path/filepath"
	"testing"
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

func kustomization(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "kustomization.yaml"), "resources: [all.yaml]\n")
	write(t, filepath.Join(dir, "all.yaml"), text)
	return dir
}
