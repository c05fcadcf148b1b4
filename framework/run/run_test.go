package run

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/config"
)

// source is a small suite, as package e2e is one.
const source = `package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/onsi/ginkgo/v2"
)

var _ = flag.String("config", "", "")

func TestE2E(t *testing.T) { ginkgo.RunSpecs(t, "small") }

var _ = ginkgo.It("AAA-01 passes", ginkgo.Label("AAA-01", "MUST", "ephemeral"), func() {})

var _ = ginkgo.It("AAA-02 fails", ginkgo.Label("AAA-02", "MUST", "ephemeral"), func() { ginkgo.Fail("AAA-02 is not met\nmore") })

var _ = ginkgo.It("AAA-03 waits", ginkgo.Label("AAA-03", "MUST", "ephemeral"), func(ctx ginkgo.SpecContext) {
	fmt.Println("spec waits")
	<-ctx.Done()
})

var _ = ginkgo.It("AAA-04 dies", ginkgo.Label("AAA-04", "MUST", "ephemeral"), func() { os.Exit(0) })
`

// module is a directory with that suite, built against the modules of this
// one.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(data))
	}
	write(t, filepath.Join(dir, "e2e", "suite_test.go"), source)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// apiServer answers what the checks before a run ask, and returns a
// kubeconfig for it.
func apiServer(t *testing.T) (kubeconfig string) {
	t.Helper()
	answers := map[string]any{
		"/version": map[string]string{"gitVersion": "v1.36.3", "major": "1", "minor": "36"},
		"/apis/storage.k8s.io/v1/csidrivers/driver.example": driver(storagev1.VolumeLifecycleEphemeral),
		"/apis/storage.k8s.io/v1/csinodes": storagev1.CSINodeList{Items: []storagev1.CSINode{{
			ObjectMeta: metav1.ObjectMeta{Name: "worker"},
			Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: "driver.example"}}},
		}}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	write(t, path, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: "`+server.URL+`"}}]
users: [{name: test, user: {}}]
`)
	return path
}

// recorder is a provider that keeps account of its use.
type recorder struct {
	kubeconfig string
	upErr      error
	log        []string
}

func (p *recorder) Up(context.Context) (kubeconfig, memcachedImage string, err error) {
	p.log = append(p.log, "up")
	return p.kubeconfig, "image:1", p.upErr
}

func (p *recorder) Down(ctx context.Context) error {
	p.log = append(p.log, "down")
	return ctx.Err()
}

type outcome struct {
	code           int
	stdout, stderr string
	provider       *recorder
	dir            string // of the reports
}

func (o outcome) lastLine() string {
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	return lines[len(lines)-1]
}

// execute runs the whole of it; onLine is called for each line of output.
func execute(t *testing.T, root string, change func(*config.Config, *recorder), onLine func(string, chan<- os.Signal)) outcome {
	t.Helper()
	c := config.Default(t.TempDir())
	c.Cluster.Provider = config.Lab
	c.Deploy.Ephemeral = kustomization(t, inlineWorkload)
	c.Deploy.Persistent = kustomization(t, claimWorkload)
	p := &recorder{kubeconfig: apiServer(t)}
	change(&c, p)

	read, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	signals := make(chan os.Signal, 4)
	text := make(chan string)
	go func() {
		var b strings.Builder
		for lines := bufio.NewScanner(read); lines.Scan(); {
			b.WriteString(lines.Text() + "\n")
			if onLine != nil {
				onLine(lines.Text(), signals)
			}
		}
		text <- b.String()
	}()
	r := Runner{Config: c, Provider: p, Root: root, Signals: signals, Stdout: stdout, Stderr: stderr}
	code := r.Run(t.Context())
	_ = stdout.Close()
	o := outcome{code: code, stdout: <-text, provider: p, dir: c.ReportDir}
	if _, err := stderr.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(stderr)
	if err != nil {
		t.Fatal(err)
	}
	o.stderr = string(all)
	return o
}

func TestRun(t *testing.T) {
	const anyCalls = "any" // it depends on when the signal arrives
	root := module(t)
	tests := []struct {
		name     string
		change   func(*config.Config, *recorder)
		onLine   func(string, chan<- os.Signal)
		code     int
		provider string // what was called, or anyCalls
		last     string // part of the last line of stdout
		says     string // part of the output
	}{
		{
			name: "conformant", change: func(c *config.Config, _ *recorder) { c.Select.Labels = "AAA-01" },
			code: 0, provider: "up down", last: "verdict  CONFORMANT (1 passed, 0 failed)", says: "\n1 passed, 0 failed\n",
		},
		{
			name: "a spec fails", change: func(c *config.Config, _ *recorder) { c.Select.Labels = "AAA-01 || AAA-02" },
			code: 1, provider: "up down", last: "verdict  NOT CONFORMANT (1 passed, 1 failed)", says: "AAA-02 is not met",
		},
		{
			name: "the suite dies, and an earlier report is not taken for its own", change: func(c *config.Config, _ *recorder) {
				c.Select.Focus = "AAA-04"
				write(t, filepath.Join(c.ReportDir, jsonReport), `[{"SuiteSucceeded":true,"SpecReports":[]}]`)
			},
			code: 2, provider: "up down", last: "verdict  UNDETERMINED", says: "read the suite's report: open",
		},
		{
			name: "interrupted", change: func(c *config.Config, _ *recorder) { c.Select.Focus = "AAA-03" },
			onLine: func(line string, signals chan<- os.Signal) {
				if line == "spec waits" {
					signals <- syscall.SIGINT
				}
			},
			code: 130, provider: "up down", last: "verdict  UNDETERMINED", says: "interrupted",
		},
		{
			name: "interrupted before the cluster is up", change: func(c *config.Config, _ *recorder) { c.Select.Labels = "AAA-01" },
			onLine: func(line string, signals chan<- os.Signal) {
				if strings.HasPrefix(line, "plan ") {
					signals <- syscall.SIGTERM
				}
			},
			code: 130, provider: anyCalls, last: "verdict  ",
		},
		{
			name: "the cluster does not come up", change: func(c *config.Config, p *recorder) {
				c.Select.Labels, p.upErr = "AAA-01", errors.New("no room for the node")
			},
			code: 2, provider: "up down", last: "verdict  UNDETERMINED", says: "bring up the cluster: no room for the node",
		},
		{
			name: "the machine cannot have the cluster", change: func(c *config.Config, p *recorder) {
				c.Select.Labels, p.upErr = "AAA-01", &UsageError{errors.New("no QEMU; install it")}
			},
			code: 3, provider: "up down", says: "no QEMU; install it",
		},
		{
			name: "the driver is absent", change: func(c *config.Config, _ *recorder) {
				c.Select.Labels = "AAA-01"
				c.Deploy.Ephemeral = kustomization(t, strings.ReplaceAll(inlineWorkload, "driver.example", "other.example"))
			},
			code: 2, provider: "up down", last: "verdict  UNDETERMINED", says: `preflight: the CSI driver "other.example" is absent`,
		},
		{
			name: "nothing selected", change: func(c *config.Config, _ *recorder) { c.Select.Labels = "persistent" },
			code: 3, says: `LABELS="persistent" selects none of the 4 specs; the labels are: AAA-01 AAA-02`,
		},
		{
			name: "malformed filter", change: func(c *config.Config, _ *recorder) { c.Select.Labels = "(MUST" },
			code: 3, says: `LABELS="(MUST": not a Ginkgo label filter; write one`,
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
			o := execute(t, root, tt.change, tt.onLine)
			if o.code != tt.code {
				t.Errorf("exit code %d, want %d", o.code, tt.code)
			}
			if got := strings.Join(o.provider.log, " "); got != tt.provider && tt.provider != anyCalls {
				t.Errorf("the provider did %q, want %q", got, tt.provider)
			}
			if tt.last != "" && !strings.HasPrefix(o.lastLine(), tt.last) {
				t.Errorf("last line %q, want %q", o.lastLine(), tt.last)
			}
			if all := o.stdout + o.stderr; !strings.Contains(all, tt.says) {
				t.Errorf("the output lacks %q", tt.says)
			}
			left, err := os.ReadDir(temp)
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range left {
				if strings.HasPrefix(entry.Name(), "pmem-memcached-e2e-") {
					t.Errorf("%s was left behind", entry.Name())
				}
			}
			if tt.code <= 1 {
				for _, name := range []string{jsonReport, junitReport} {
					if _, err := os.Stat(filepath.Join(o.dir, name)); err != nil {
						t.Error(err)
					}
				}
			}
			if t.Failed() {
				t.Logf("stdout:\n%s\nstderr:\n%s", o.stdout, o.stderr)
			}
		})
	}
}
