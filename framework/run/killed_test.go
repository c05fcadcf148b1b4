package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/deploy/deploytest"
)

// runSuite has this test program be a whole run.
const runSuite = "run-suite"

// runFrom is a run with the configuration in a file.
func runFrom(configFile string) int {
	c, err := config.ReadFile(configFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return ExitUsage
	}
	r := Runner{
		Config: c, Provider: &recorder{kubeconfig: c.Cluster.Kubeconfig}, Root: c.Dir, Suite: Suite{List: framework.List, Args: []string{runSpecs}},
		Getenv: func(string) string { return "" }, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	return r.Run(context.Background())
}

// until polls for what other processes do, for at most limit.
func until(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, limit)
		}
	}
}

func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || strings.Contains(string(stat), ") Z ")
}

// TestKilled kills a run during a spec: the process with the specs ends, too.
func TestKilled(t *testing.T) {
	notShort(t)
	t.Parallel()
	c := config.Default(t.TempDir())
	c.Cluster.Provider, c.Cluster.Kubeconfig = config.Lab, apiServer(t)
	c.Deploy.Ephemeral, c.Deploy.Persistent = deploytest.Dir(t, deploytest.Inline), deploytest.Dir(t, deploytest.Claim)
	c.SkipPreflight, c.Select.Focus = []string{"images", "pmem"}, "AAA-20"
	configFile := filepath.Join(t.TempDir(), "config.json")
	if err := c.WriteFile(configFile); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", runSuite, configFile)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	log := filepath.Join(c.ReportDir, suiteLog)
	until(t, time.Minute, "the spec begins", func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "waiting for ever")
	})
	var children []int
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				children = append(children, pid)
			}
		}
	}
	if len(children) != 1 {
		t.Fatalf("the run has the child processes %v, want one", children)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	until(t, 10*time.Second, "the process with the specs ends", func() bool { return gone(children[0]) })
}
