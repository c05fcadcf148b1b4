package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/report"
)

// TestErrorsBeforeTheSpecs runs into what goes wrong before the first spec: the run is
// refused without a report, or ends in a report that says so.
func TestErrorsBeforeTheSpecs(t *testing.T) {
	tests := []struct {
		name     string
		change   func(*config.Config, *recorder)
		code     int
		provider string // what was called
		says     string // part of the output
	}{
		{
			name: "the cluster does not come up", change: func(c *config.Config, p *recorder) {
				c.Select.Focus, p.upErr = "AAA-01", errors.New("no room for the node")
			},
			code: 2, provider: "up down", says: "bring up the cluster: no room for the node",
		},
		{
			name: "the machine cannot have the cluster", change: func(c *config.Config, p *recorder) {
				c.Select.Focus, p.upErr = "AAA-01", &UsageError{errors.New("no QEMU; install it")}
			},
			code: 3, provider: "up down", says: "no QEMU; install it",
		},
		{
			name: "the driver is absent", change: func(c *config.Config, _ *recorder) {
				c.Deploy.Ephemeral = deploytest.Dir(t, strings.ReplaceAll(deploytest.Inline, "driver.example", "other.example"))
			},
			code: 2, provider: "up down", says: "other.example",
		},
		{
			name: "a claim that is not in the kustomization", change: func(c *config.Config, _ *recorder) {
				c.Deploy.Ephemeral = deploytest.Dir(t, strings.ReplaceAll(deploytest.Inline, "csi: {driver: driver.example, fsType: ext4, volumeAttributes: {size: 200Mi}}",
					"persistentVolumeClaim: {claimName: of-the-team}"))
			},
			code: 3, says: "Deployment/cache needs PersistentVolumeClaim of-the-team, which is volume data: neither the kustomization nor the cluster has it, and each spec deploys into a namespace of its own; add it to the kustomization",
		},
		{
			name: "a class of priority that the cluster does not have", change: func(c *config.Config, _ *recorder) {
				c.Deploy.Ephemeral = deploytest.Dir(t, strings.ReplaceAll(deploytest.Inline, "      tolerations:", "      priorityClassName: caches-first\n      tolerations:"))
			},
			code: 3, provider: "up down", says: "Deployment/cache needs PriorityClass caches-first, which the pods have",
		},
		{
			name: "a qualification cannot examine all of it", change: func(c *config.Config, _ *recorder) { c.Qualification, c.SkipPreflight = true, nil },
			code: 3, provider: "up down", says: `QUALIFICATION="1": it leaves nothing out, and AAA-09 could not be examined; label the pods of PMEM-CSI`,
		},
		{
			name: "a qualification without consent", change: func(c *config.Config, _ *recorder) {
				c.Qualification, c.SkipPreflight, c.Disruptive = true, nil, new(false)
			},
			code: 3, says: `QUALIFICATION="1": it leaves nothing out, and AAA-22 could not be examined; set DISRUPTIVE=1`,
		},
		{
			name: "no spec is applicable", change: func(c *config.Config, _ *recorder) { c.Select.Focus = "AAA-09" },
			code: 2, provider: "up down", says: "no spec is left to run",
		},
		{
			name: "nothing selected", change: func(c *config.Config, _ *recorder) { c.Select.Labels = "ephemeral && !MUST && !SHOULD" },
			code: 3, says: fmt.Sprintf(`LABELS="ephemeral && !MUST && !SHOULD" selects none of the %d specs; benchmarks run with make bench; e2e list shows`, examining()),
		},
		{
			name: "malformed filter", change: func(c *config.Config, _ *recorder) { c.Select.Labels = "(MUST" },
			code: 3, says: `LABELS="(MUST": not a Ginkgo label filter; write one`,
		},
		{
			name: "a check that does not exist cannot be skipped", change: func(c *config.Config, _ *recorder) {
				c.SkipPreflight = []string{"imags"}
			},
			code: 3, says: "imags",
		},
		{
			name: "malformed known failures", change: func(c *config.Config, _ *recorder) {
				c.KnownFailures = filepath.Join(t.TempDir(), "known.yaml")
				write(t, c.KnownFailures, "- spec: AAA-02\n  requirement: EPH-01\n  link: https://example.org/1\n  expires: 2020-01-01\n  reason: old\n")
			},
			code: 3, says: "known.yaml:4",
		},
		{
			name: "kustomization does not render", change: func(c *config.Config, _ *recorder) { c.Deploy.Persistent = t.TempDir() },
			code: 3, says: "PERSISTENT=",
		},
		{
			name: "no API server", change: func(c *config.Config, p *recorder) {
				data, err := os.ReadFile(p.kubeconfig)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(t.TempDir(), "dead")
				lines := strings.Split(string(data), "\n")
				for i, line := range lines {
					if strings.HasPrefix(line, "clusters:") {
						lines[i] = `clusters: [{name: test, cluster: {server: "http://127.0.0.1:1"}}]`
					}
				}
				write(t, path, strings.Join(lines, "\n"))
				c.Cluster = config.Cluster{Provider: config.Existing, Kubeconfig: path}
			},
			code: 3, says: "KUBECONFIG=",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			temp := t.TempDir()
			t.Setenv("TMPDIR", temp)
			o := execute(t, tt.change, nil)
			if o.code != tt.code {
				t.Errorf("exit code %d, want %d", o.code, tt.code)
			}
			if got := strings.Join(o.provider.log, " "); got != tt.provider {
				t.Errorf("the provider did %q, want %q", got, tt.provider)
			}
			if !strings.Contains(o.all(), tt.says) {
				t.Errorf("the output lacks %q", tt.says)
			}
			if tt.code == ExitUsage {
				if _, err := os.Stat(filepath.Join(o.dir, reportFile)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("there is a report of a run that was refused: %v", err)
				}
			} else if doc := o.document(t); doc.Verdict.Result != report.Undetermined || !strings.HasPrefix(o.lastLine(), "verdict  ") {
				t.Errorf("verdict %s, last line %q", doc.Verdict.Result, o.lastLine())
			}
			left, err := filepath.Glob(filepath.Join(temp, "pmem-memcached-e2e-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
			if t.Failed() {
				t.Logf("stdout:\n%s\nstderr:\n%s", o.stdout, o.stderr)
			}
		})
	}
}

// TestEarlierReport makes sure that no report of an earlier run is taken for
// that of a run that was killed.
func TestEarlierReport(t *testing.T) {
	o := execute(t, func(c *config.Config, p *recorder) {
		c.Select.Focus, p.upErr = "AAA-01", errors.New("no room")
		for _, name := range []string{reportFile, "junit.xml", "index.html", "evidence/AAA-01/index.txt"} {
			write(t, filepath.Join(c.ReportDir, name), "digest: sha256:of an earlier run")
		}
	}, nil)
	o.document(t)
	if _, err := os.Stat(filepath.Join(o.dir, "evidence")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("evidence of an earlier run is there: %v", err)
	}
}

func TestClaim(t *testing.T) {
	use := func(dir string) (func(), error) {
		r := Runner{Config: config.Config{ReportDir: dir}}
		return r.claim()
	}
	dir := filepath.Join(t.TempDir(), "report")
	release, err := use(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := use(dir); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by another run (pid %d, started ", os.Getpid())) {
		t.Errorf("a second run: %v, want an error that names the first", err)
	}
	release()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a run without a report leaves its directory: %v", err)
	}
	write(t, filepath.Join(dir, "output.log"), "kept")
	if release, err = use(dir); err != nil {
		t.Fatalf("a directory with a file that no run writes: %v", err)
	}
	release()
	if _, err := os.Stat(filepath.Join(dir, "output.log")); err != nil {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "lab", "lab.go"), "package lab")
	if _, err := use(dir); err == nil || !strings.Contains(err.Error(), "REPORT_DIR=") || !strings.Contains(err.Error(), "it has lab and no report") {
		t.Errorf("a directory with other files: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lab", "lab.go")); err != nil {
		t.Error(err)
	}
}
