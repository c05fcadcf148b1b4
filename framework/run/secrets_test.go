package run

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/redact"
)

// withSecrets is added to a deployment.
const withSecrets = `apiVersion: v1
kind: Secret
metadata:
  name: users
stringData:
  users: "alice:CANARY-known"
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: memcached-sasl
data:
  memcached-sasl-pwdb: cacheuser:CANARY-configmap
---
apiVersion: batch/v1
kind: Job
metadata:
  name: backup
  annotations:
    example.com/token: CANARY-annotation
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: backup
        image: backup
        command: [sh, -c, "BACKUP_TOKEN=CANARY-command exec backup"]
        args: [--password, CANARY-argument, "https://u:CANARY-url@example.com"]
        env:
        - {name: Cache_Pass, value: CANARY-variable}
`

func TestNoSecretIsRecordedOrPrinted(t *testing.T) {
	o := execute(t, func(c *config.Config, _ *recorder) {
		c.Select.Focus, c.Verbose = "AAA-30", true
		write(t, filepath.Join(c.Deploy.Ephemeral, "secrets.yaml"), withSecrets)
		path := filepath.Join(c.Deploy.Ephemeral, "kustomization.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, strings.Replace(string(text), "[all.yaml]", "[all.yaml, secrets.yaml]", 1))
	}, nil)
	o.document(t)
	found := map[string]string{"standard output": o.stdout, "standard error": o.stderr}
	err := filepath.WalkDir(o.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found[d.Name()] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range found {
		if i := strings.Index(strings.ToUpper(text), "CANARY"); i >= 0 {
			t.Errorf("%s has a secret: %.200q", name, text[max(0, i-60):])
		}
	}
	for _, name := range []string{"standard output", "report.yaml", "junit.xml", "index.html", "summary.md", "suite.log", "kept.txt"} {
		if !strings.Contains(found[name], redact.Mark) {
			t.Errorf("%s does not have what was redacted: %.500q", name, found[name])
		}
	}
	if !strings.Contains(found["report.yaml"], "AAA-30") || !strings.Contains(found["suite.log"], "passphrase REDACTED from the deployment") {
		t.Errorf("the suite's log has %.1000q", found["suite.log"])
	}
}

func TestNoSecretIsPrintedWhenADeploymentDoesNotRender(t *testing.T) {
	o := execute(t, func(c *config.Config, _ *recorder) {
		c.Deploy.Ephemeral = deploytest.Dir(t, deploytest.Inline)
		write(t, filepath.Join(c.Deploy.Ephemeral, "kustomization.yaml"), `resources: [all.yaml]
secretGenerator:
- name: users
  literals:
  - anything=CANARY-literal
patches:
- target: {kind: Deployment, name: nothing}
  patch: |
    - op: add
      path: /spec/template/spec/containers/0/env/0
      value: {name: PASSWORD, value: CANARY-patch}
    - {
`)
	}, nil)
	if o.code != ExitUsage || !strings.Contains(o.all(), redact.Mark) || strings.Contains(o.all(), "CANARY") {
		t.Errorf("exit code %d: %s", o.code, o.all())
	}
}
