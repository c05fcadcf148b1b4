package run

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
)

// suite is the compiled test binary of package e2e.
type suite struct {
	binary string // absolute
	dir    string // where it runs, so that it finds testdata
	temp   string // for its configuration and the plan
}

// build compiles the suite into temp.
func build(ctx context.Context, root, temp string) (suite, error) {
	s := suite{binary: filepath.Join(temp, "e2e.test"), dir: filepath.Join(root, "e2e"), temp: temp}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", s.binary, "./e2e")
	cmd.Dir = root
	ownGroup(cmd)
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return suite{}, fmt.Errorf("build the suite: %w", context.Cause(ctx))
		}
		return suite{}, fmt.Errorf("build the suite: go test -c ./e2e: %w\n%s", err, bytes.TrimSpace(out))
	}
	return s, nil
}

// plan asks the suite which specs it would run.
func (s suite) plan(ctx context.Context, sel config.Select) (report.Plan, error) {
	path := filepath.Join(s.temp, "plan.json")
	args := append(selection(sel), "--ginkgo.dry-run", "--ginkgo.succinct", "--ginkgo.no-color", "--ginkgo.json-report="+path)
	cmd := exec.CommandContext(ctx, s.binary, append([]string{"-config=" + s.config()}, args...)...)
	cmd.Dir = s.dir
	ownGroup(cmd)
	cmd.Cancel = func() error { killGroup(cmd); return nil }
	out, runErr := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return report.Plan{}, fmt.Errorf("plan the run: %w", context.Cause(ctx))
	}
	if runErr != nil {
		return report.Plan{}, fmt.Errorf("plan the run: %w\n%s", runErr, bytes.TrimSpace(out))
	}
	plan, err := report.ReadPlan(path)
	if err != nil {
		return report.Plan{}, fmt.Errorf("plan the run: %w\n%s", err, bytes.TrimSpace(out))
	}
	if len(plan.Selected) == 0 {
		return report.Plan{}, &UsageError{fmt.Errorf("%s selects none of the %d specs; the labels are: %s",
			describe(sel), plan.Total, strings.Join(plan.Labels, " "))}
	}
	return plan, nil
}

func describe(sel config.Select) string {
	var parts []string
	if sel.Labels != "" {
		parts = append(parts, fmt.Sprintf("LABELS=%q", sel.Labels))
	}
	if sel.Focus != "" {
		parts = append(parts, fmt.Sprintf("FOCUS=%q", sel.Focus))
	}
	if len(parts) == 0 {
		return "no filter"
	}
	return strings.Join(parts, " with ")
}

func selection(sel config.Select) []string {
	var args []string
	if sel.Labels != "" {
		args = append(args, "--ginkgo.label-filter="+sel.Labels)
	}
	if sel.Focus != "" {
		args = append(args, "--ginkgo.focus="+sel.Focus)
	}
	if sel.Seed != 0 {
		args = append(args, fmt.Sprintf("--ginkgo.seed=%d", sel.Seed))
	}
	return args
}

func (s suite) config() string { return filepath.Join(s.temp, "config.json") }

// Files below the report directory.
const (
	jsonReport  = "report.json"
	junitReport = "junit.xml"
	evidence    = "evidence"
)

// cleanReports removes what an earlier run left, so that it is never taken for
// this run's, and makes the directory.
func cleanReports(dir string) error {
	for _, name := range []string{jsonReport, junitReport, evidence} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove the earlier report: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the report directory: %w", err)
	}
	return nil
}

// command is the suite with everything that a run needs.
func (s suite) command(c config.Config, limit time.Duration, stdout, stderr *os.File) *exec.Cmd {
	args := append([]string{"-config=" + s.config()}, selection(c.Select)...)
	args = append(args, "--ginkgo.v", "--ginkgo.silence-skips", "--ginkgo.fail-on-empty",
		"--ginkgo.timeout="+limit.String(),
		"--ginkgo.json-report="+filepath.Join(c.ReportDir, jsonReport),
		"--ginkgo.junit-report="+filepath.Join(c.ReportDir, junitReport))
	if !colourful(stdout) {
		args = append(args, "--ginkgo.no-color")
	}
	cmd := exec.Command(s.binary, args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd
}

// colourful tells whether f is a terminal whose user has not refused colour,
// see no-color.org.
func colourful(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
