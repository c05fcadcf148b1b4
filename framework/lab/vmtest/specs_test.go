//go:build vm

package vmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// onTwoNodes selects the specs that need a second node, which the lab of make
// e2e does not have where processors are few.
const onTwoNodes = "OPS-09"

func (s *suite) testSpecs(t *testing.T) {
	images, err := s.lab.MemcachedImages()
	if err != nil {
		t.Fatal(err)
	}
	root, dir := filepath.Join("..", "..", ".."), t.TempDir()
	program := filepath.Join(dir, "e2e")
	for pkg, file := range map[string]string{"./framework/cmd/e2e": "e2e", "./framework/cmd/load": "e2e-load-" + runtime.GOARCH} {
		build := exec.CommandContext(during(t), "go", "build", "-o", filepath.Join(dir, file), pkg)
		build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	reports := filepath.Join(dir, "report")
	run := exec.CommandContext(during(t), program, "run", "--kubeconfig", s.lab.Kubeconfig(), "--memcached-image", images[0],
		"--disruptive=1", "--focus", onTwoNodes, "--report-dir", reports)
	run.Dir, run.Stdout, run.Stderr = root, t.Output(), t.Output()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name == "PATH" || name == "HOME" || name == "XDG_CACHE_HOME" || strings.HasPrefix(name, "GO") {
			run.Env = append(run.Env, v) // and nothing that would change the run
		}
	}
	err = run.Run() // what is judged is in the report
	text, readErr := os.ReadFile(filepath.Join(reports, "report.yaml"))
	if readErr != nil {
		t.Fatalf("%v, %v", err, readErr)
	}
	doc, err := report.Decode("report.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	examined := 0
	for _, r := range doc.Specs {
		if strings.HasPrefix(r.ID, onTwoNodes) {
			examined++
			if r.Outcome != spec.Passed {
				t.Errorf("%s: %s: %s", r.ID, r.Outcome, r.Reason)
			}
		}
	}
	if examined == 0 {
		t.Errorf("there is no spec %s", onTwoNodes)
	}
}
