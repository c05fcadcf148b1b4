package run

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// TestInspect asks an API server as a run does, and leaves no report.
func TestInspect(t *testing.T) {
	c := config.Default(t.TempDir())
	c.Cluster = config.Cluster{Provider: config.Existing, Kubeconfig: apiServer(t)}
	c.Deploy.Ephemeral, c.Deploy.Persistent = deploytest.Dir(t, deploytest.Inline), deploytest.Dir(t, deploytest.Claim)
	c.SkipPreflight = []string{"images", "pmem"}
	stderr, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	r := Runner{
		Config: c, Provider: Existing{Kubeconfig: c.Cluster.Kubeconfig}, Root: c.Dir, Suite: Suite{List: framework.List},
		Getenv: func(string) string { return "" }, Stderr: stderr,
	}
	for _, withChecks := range []bool{false, true} {
		found, err := r.Inspect(t.Context(), withChecks)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(found.Facts, func(f report.Fact) bool { return f.Name == "kubernetes" }) || len(found.Plan) == 0 {
			t.Errorf("facts %v, plan %v", found.Facts, found.Plan)
		}
		if withChecks != (len(found.Checks) > 0) {
			t.Errorf("checks %v", found.Checks)
		}
	}
	if _, err := stderr.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	shown, err := io.ReadAll(stderr)
	if want := "cluster  kubeconfig " + c.Cluster.Kubeconfig; err != nil || !strings.Contains(string(shown), want) || !strings.Contains(string(shown), "\nconnect  http://") {
		t.Errorf("shown is %q, %v, want %q and connect", shown, err, want)
	}
	if _, err := os.Stat(c.ReportDir); err == nil {
		t.Error("there is a report directory")
	}
}

// TestPlanned needs no cluster.
func TestPlanned(t *testing.T) {
	c := config.Default(t.TempDir())
	c.Cluster.Provider, c.Select.Focus = config.Existing, "AAA-0[19]"
	r := Runner{Config: c, Suite: Suite{List: framework.List}}
	plan, err := r.Planned()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range plan {
		if selected := s.ID == "AAA-01" || s.ID == "AAA-09"; selected != (s.Outcome != spec.Skipped) {
			t.Errorf("%s: %q", s.ID, s.Outcome)
		}
	}
}

// TestVerbose: VERBOSE prints every fact, every check and every step of a spec.
func TestVerbose(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		o := execute(t, func(c *config.Config, _ *recorder) { c.Select.Focus, c.Verbose = "AAA-01", verbose }, nil)
		for _, want := range []string{"\nfact     cluster: kubernetes: v", "\n ✓ api     passed: ", "\n   AAA-01  look at the pod\n"} {
			if strings.Contains(o.stdout, want) != verbose {
				t.Errorf("with VERBOSE=%t %q is printed: %t\n%s", verbose, want, !verbose, o.stdout)
			}
		}
	}
}

// TestShownFromTheStart: the first line names the cluster, and each part of the
// run before the specs has its line.
func TestShownFromTheStart(t *testing.T) {
	o := execute(t, focus("AAA-01"), nil)
	var topics []string
	for line := range strings.Lines(o.stdout) {
		if word, _, _ := strings.Cut(line, " "); word != "" {
			topics = append(topics, strings.TrimSpace(word))
		}
	}
	want := []string{"cluster", "validate", "plan", "cluster", "connect", "facts", "checks", "seed"}
	if len(topics) < len(want) || !slices.Equal(topics[:len(want)], want) {
		t.Errorf("the topics are %v, want %v first\n%s", topics, want, o.stdout)
	}
}
