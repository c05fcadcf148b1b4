package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// clean has no setting in the environment.
func clean(t *testing.T) {
	t.Helper()
	for _, name := range []string{"KUBECONFIG", "PROVIDER", "FOCUS", "LABELS", "CONFIG", "BENCH"} {
		t.Setenv(name, "")
	}
}

func TestList(t *testing.T) {
	clean(t)
	code, stdout, stderr := command("list", "--focus=^rst-01")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, line := range strings.Split(stdout, "\n") {
		words := strings.Fields(line)
		if len(words) > 3 && strings.Contains(words[0], "-") && (words[3] == "yes") != (words[0] == "RST-01") {
			t.Errorf("a line of the table: %s", line)
		}
	}
	for _, want := range []string{"SPEC ", "\n1 of ", `skipped: FOCUS="^rst-01"`, "skipped: benchmarks run with make bench"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}

	code, stdout, _ = command("list", "--output", "yaml", "--bench")
	var entries []entry
	if err := yaml.Unmarshal([]byte(stdout), &entries); err != nil || code != 0 {
		t.Fatalf("exit code %d: %v", code, err)
	}
	runs := 0
	for _, e := range entries {
		if e.Runs != strings.HasPrefix(e.ID, "BEN-") || e.Runs != (e.Why == "") {
			t.Errorf("of a benchmark run: %+v", e)
		}
		if e.Runs {
			runs++
		}
	}
	if runs == 0 {
		t.Error("no benchmark runs")
	}

	// What disrupts does not run on a cluster that others use.
	code, stdout, _ = command("list", "-o", "markdown", "--disruptive=0")
	if code != 0 || !strings.HasPrefix(stdout, "| SPEC | LEVEL |") || !strings.Contains(stdout, "| RST-07 | MUST | persistent | undetermined |") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}

// TestRefused: each of these is one line and exit code 3, and nothing is printed
// as a result.
func TestRefused(t *testing.T) {
	clean(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
"clusters": [{"name": "c", "cluster": {"server": "https://%s"}}], "users": [{"name": "u", "user": {"token": "x"}}]}`, closed.Addr())
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"list --labels MUSTT":                                         `LABELS="MUSTT": there is no label MUSTT; did you mean MUST?`,
		"list --focus RST-99":                                         `FOCUS="RST-99": there is no spec RST-99; did you mean `,
		"list --output yml":                                           "did you mean yaml?",
		"list --output=table --kubeconfig " + kubeconfig:              "connection refused; nothing listens there: start the cluster",
		"facts --kubeconfig " + kubeconfig:                            "connection refused",
		"preflight --kubeconfig /none/" + t.Name():                    "no such file",
		"preflight --skip-preflight imags --kubeconfig " + kubeconfig: "imags",
		"facts --output markdown":                                     "there is no such form",
	} {
		code, stdout, stderr := command(strings.Fields(args)...)
		if code != 3 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("e2e %s: exit code %d\n%s%s\nwant 3 and one line with %q", args, code, stdout, stderr, want)
		}
	}
}
