package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/run/internal/outcomes"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// runSpecs has this test program run the specs of package outcomes, as the
// tests' child process.
const runSpecs = "run-specs"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == runSpecs {
		if err := outcomes.Run(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == runSuite {
		os.Exit(runFrom(os.Args[2]))
	}
	os.Exit(m.Run())
}

// notShort is for tests that run the suite many times.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the suite many times: run it without -short")
	}
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

// recorder is a provider that keeps account of its use.
type recorder struct {
	kubeconfig string
	upErr      error
	log        []string
}

func (p *recorder) Up(_ context.Context, w progress.Writer, observe func(wait.Record)) (Target, error) {
	p.log = append(p.log, "up")
	observe(wait.Record{Name: wait.LabNode, What: "the node", Done: true})
	_, err := io.WriteString(w, "cluster  is up\n")
	return Target{Kubeconfig: p.kubeconfig, MemcachedImage: "image:1"}, errors.Join(p.upErr, err)
}

func (p *recorder) Down(ctx context.Context, _ progress.Writer) error {
	p.log = append(p.log, "down")
	return ctx.Err()
}

// ran is what is left of a run.
type ran struct {
	code           int
	stdout, stderr string
	provider       *recorder
	dir            string // of the reports
}

func (o ran) all() string { return o.stdout + o.stderr }

func (o ran) lastLine() string {
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	return lines[len(lines)-1]
}

// document is the report, which has to be valid.
func (o ran) document(t *testing.T) report.Document {
	t.Helper()
	path := filepath.Join(o.dir, reportFile)
	if err := report.ValidateFile(path); err != nil {
		t.Errorf("the report is not valid: %v", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := report.Decode(path, data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func outcomesOf(doc report.Document) map[string]spec.Outcome {
	found := map[string]spec.Outcome{}
	for _, s := range doc.Specs {
		if s.Outcome != spec.Skipped {
			found[s.ID] = s.Outcome
		}
	}
	return found
}

// execute runs the whole of it with the suite in testdata/outcomes; onLine is
// called for each line of output, with the way to send a signal.
func execute(t *testing.T, change func(*config.Config, *recorder), onLine func(string, chan<- os.Signal)) ran {
	t.Helper()
	c := config.Default(t.TempDir())
	c.Cluster.Provider = config.Lab
	c.Deploy.Ephemeral = deploytest.Dir(t, deploytest.Inline)
	c.Deploy.Persistent = deploytest.Dir(t, deploytest.Claim)
	c.SkipPreflight = []string{"images", "pmem"}
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
	r := Runner{
		Config: c, Provider: p, Root: c.Dir, Suite: Suite{List: framework.List, Args: []string{runSpecs}}, Version: "test",
		Signals: signals, Getenv: func(string) string { return "" }, Stdout: stdout, Stderr: stderr,
	}
	code := r.Run(t.Context())
	_ = stdout.Close()
	o := ran{code: code, stdout: <-text, provider: p, dir: c.ReportDir}
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

// TestOutcomes runs a real suite that ends in every way.
func TestOutcomes(t *testing.T) {
	notShort(t)
	t.Parallel()
	tests := []struct {
		name   string
		change func(*config.Config, *recorder)
		onLine func(string, chan<- os.Signal)
		code   int
		want   map[string]spec.Outcome
		result report.Result
		reason string // part of the reason of the first spec, or of the verdict
	}{
		{
			name: "passed", change: focus("AAA-01"), code: 2, result: report.Undetermined, // the others are skipped
			want: map[string]spec.Outcome{"AAA-01": spec.Passed}, reason: "not selected",
		},
		{
			name: "failed", change: focus("AAA-02"), code: 1, result: report.NotConformant,
			want: map[string]spec.Outcome{"AAA-02": spec.Failed}, reason: `EPH-01 is not met: "one pod is ready", expected to equal 1, observed 0`,
		},
		{
			name: "undetermined, each in its way", change: focus("AAA-0[4567]|AAA-1[348]"), code: 2, result: report.Undetermined,
			want: map[string]spec.Outcome{
				"AAA-04": spec.Undetermined, "AAA-05": spec.Undetermined, "AAA-06": spec.Undetermined,
				"AAA-07": spec.Undetermined, "AAA-13": spec.Undetermined, "AAA-14": spec.Undetermined, "AAA-18": spec.Undetermined,
			},
			reason: "could not reach the pod: connection refused",
		},
		{
			name: "errors of the infrastructure in checks", change: focus("AAA-2[4567]"), code: 2, result: report.Undetermined,
			want:   map[string]spec.Outcome{"AAA-24": spec.Undetermined, "AAA-25": spec.Undetermined, "AAA-26": spec.Undetermined, "AAA-27": spec.Undetermined},
			reason: `EPH-01 "the claim can be read" could not be seen`,
		},
		{
			name: "a note of a value that is nil", change: focus("AAA-35"), code: 2, result: report.Undetermined,
			want: map[string]spec.Outcome{"AAA-35": spec.Undetermined}, reason: `could not note "lack of memory": its text is made of a value that is nil`,
		},
		{
			name: "a state that does not come", change: focus("AAA-28"), code: 1, result: report.NotConformant,
			want: map[string]spec.Outcome{"AAA-28": spec.Failed}, reason: "last seen Pending",
		},
		{
			name: "a deployment that is silent", change: focus("AAA-29"), code: 1, result: report.NotConformant,
			want:   map[string]spec.Outcome{"AAA-29": spec.Failed},
			reason: `EPH-01 is not met: "the deployment serves while the spec uses it", expected no error, observed could not store items: no answer within 1m0s`,
		},
		{
			name: "versions of a requirement", change: focus("AAA-3[1-4]"), code: 1, result: report.NotConformant,
			want:   map[string]spec.Outcome{"AAA-31": spec.Passed, "AAA-32": spec.Failed, "AAA-33": spec.Undetermined, "AAA-34": spec.Undetermined},
			reason: "spec AAA-34 examines RST-66, which holds for memcached >= 1.6.9, and has not compared the version",
		},
		{
			name: "failed in parts", change: focus("AAA-1[79]"), code: 1, result: report.NotConformant,
			want:   map[string]spec.Outcome{"AAA-17": spec.Failed, "AAA-19": spec.Passed},
			reason: `2 checks failed: EPH-01 is not met: "the first part is right", expected to equal 1, observed 0; EPH-01 is not met: "the second part is right"`,
		},
		{
			name: "leaked", change: focus("AAA-08"), code: 2, result: report.Undetermined,
			want: map[string]spec.Outcome{"AAA-08": spec.Leaked}, reason: "claim default/data",
		},
		{
			name: "not applicable", change: func(c *config.Config, p *recorder) {
				c.Select.Focus, c.Cluster = "AAA-01|AAA-21", config.Cluster{Provider: config.Existing, Kubeconfig: p.kubeconfig}
			},
			code: 2, result: report.Undetermined, want: map[string]spec.Outcome{"AAA-01": spec.Passed, "AAA-21": spec.NotApplicable},
			reason: "the cluster lacks node-power: the provider existing cannot switch nodes",
		},
		{
			name: "not seen", change: focus("AAA-0[19]"), code: 2, result: report.Undetermined,
			want: map[string]spec.Outcome{"AAA-01": spec.Passed, "AAA-09": spec.Undetermined},
			reason: "because  AAA-09 is undetermined: it was not examined for lack of node-access: no pod labelled app.kubernetes.io/name=pmem-csi-node, and none of a DaemonSet, runs the driver driver.example; " +
				"label the pods of PMEM-CSI",
		},
		{
			name: "leaks could not be compared", change: focus("AAA-01"), code: 2, result: report.Undetermined,
			reason: "because  whether something was left behind is not known: 4 parts could not be compared, first capacity view of all nodes: no pod labelled",
		},
		{
			name: "the suite dies: what ran is known, the rest is not run", change: func(c *config.Config, _ *recorder) {
				c.Select.Focus, c.Select.Seed = "AAA-01|AAA-02|AAA-08|AAA-10", 1
			},
			code: -1, want: map[string]spec.Outcome{"AAA-10": spec.Undetermined}, reason: "the suite ended while it ran",
		},
		{
			name: "interrupted", change: focus("AAA-11"), code: 130, result: report.Undetermined,
			onLine: func(line string, signals chan<- os.Signal) {
				if strings.Contains(line, "plan") {
					go func() { signals <- syscall.SIGINT }()
				}
			},
			want: nil,
		},
		{
			name: "flaky", change: func(c *config.Config, _ *recorder) { c.Select.Focus, c.Retries = "AAA-12", 1 },
			code: 2, result: report.Undetermined, want: map[string]spec.Outcome{"AAA-12": spec.Passed},
		},
		{
			name: "flaky, and the first attempt left something behind", change: func(c *config.Config, _ *recorder) { c.Select.Focus, c.Retries = "AAA-23", 1 },
			code: 2, result: report.Undetermined, want: map[string]spec.Outcome{"AAA-23": spec.Leaked}, reason: "because  AAA-23 left behind 1: first claim default/data",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := execute(t, tt.change, tt.onLine)
			doc := o.document(t)
			if o.code != tt.code && tt.code >= 0 {
				t.Errorf("exit code %d, want %d", o.code, tt.code)
			}
			if o.code != doc.Verdict.ExitCode {
				t.Errorf("exit code %d, the report says %d", o.code, doc.Verdict.ExitCode)
			}
			got := outcomesOf(doc)
			for id, want := range tt.want {
				if got[id] != want {
					t.Errorf("%s: %q, want %q", id, got[id], want)
				}
			}
			if tt.result != "" && doc.Verdict.Result != tt.result {
				t.Errorf("verdict %s, want %s", doc.Verdict.Result, tt.result)
			}
			if !strings.Contains(o.all(), tt.reason) {
				t.Errorf("the output lacks %q", tt.reason)
			}
			if t.Failed() {
				t.Logf("outcomes %v\nstdout:\n%s\nstderr:\n%s", maps.Collect(maps.All(got)), o.stdout, o.stderr)
			}
		})
	}
}

func focus(pattern string) func(*config.Config, *recorder) {
	return func(c *config.Config, _ *recorder) { c.Select.Focus = pattern }
}

// examining is the number of specs that a run without BENCH can select.
func examining() int {
	n := 0
	for _, s := range framework.Specs() {
		if !s.Measures() {
			n++
		}
	}
	return n
}
