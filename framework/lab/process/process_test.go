package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/wait"
)

func testGroup(t *testing.T) *Group {
	return Of(state.Dir(filepath.Join(t.TempDir(), "test")), wait.Scale{})
}

// sleeper starts a process of the group and returns it when it can be found.
func sleeper(t *testing.T, g *Group, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.Env = g.Environment(name, nil)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.AwaitMark(name, cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// A process of the lab is found and ended by its mark alone.
func TestProcessesAreFoundByTheirMark(t *testing.T) {
	g := testGroup(t)
	cmd := sleeper(t, g, "sleeper")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	other := testGroup(t)
	if got := other.List(); len(got) != 0 {
		t.Errorf("another lab has processes %v", got)
	}
	if err := g.KillAll(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the process ended with %v", err)
	}
	if got := g.List(); len(got) != 0 {
		t.Errorf("still there: %v", got)
	}
}

// A process of another user is none of the lab's, whatever its environment.
func TestProcessesOfOthersAreLeftAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to start a process as another user")
	}
	g := testGroup(t)
	cmd := exec.Command("sleep", "600")
	cmd.Env = []string{markDir + "=" + string(g.dir), markName + "=etcd"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	if err := g.AwaitMark("etcd", cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if got := g.List(); len(got) != 0 {
		t.Errorf("the lab has the process of another user: %v", got)
	}
}

func TestEnvironmentOfAProgram(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("HTTPS_PROXY", "http://user:secret@proxy.invalid")
	g := testGroup(t)
	env := g.Environment("etcd", []string{"GOGC=50"})
	if text := strings.Join(env, "\n"); strings.Contains(text, "secret") {
		t.Errorf("a secret of the user's is in the environment:\n%s", text)
	}
	for _, want := range []string{"PATH=" + os.Getenv("PATH"), "GOGC=50", markDir + "=" + string(g.dir), markName + "=etcd"} {
		if !slices.Contains(env, want) {
			t.Errorf("%q, want %q in it", env, want)
		}
	}
}

// The id of a process that has ended may be that of another one by now.
func TestKillSparesALaterProcess(t *testing.T) {
	g := testGroup(t)
	cmd := sleeper(t, g, "sleeper")
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	p, ok := g.Find("sleeper")
	if !ok {
		t.Fatal("the process is not found")
	}
	earlier := p
	earlier.started = "1"
	if err := earlier.Kill(); err != nil {
		t.Error(err)
	}
	if now, ok := g.Find("sleeper"); !ok || now != p {
		t.Errorf("after the end of an earlier process with its id: %v, %v", now, ok)
	}
}

func TestMeter(t *testing.T) {
	g := testGroup(t)
	start := func(name string) *exec.Cmd {
		t.Helper()
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		cmd.Env = g.Environment(name, nil)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		if err := g.AwaitMark(name, cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	first := start("node1")
	m := g.Meter()
	atLeast := func(name string, want time.Duration) time.Duration {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
			if used := m.Read()[name]; used >= want {
				return used
			}
		}
		t.Fatalf("%s has not used %s of the processor in 30s: %v", name, want, m.Read())
		return 0
	}
	used := atLeast("node1", 100*time.Millisecond)
	_ = first.Process.Kill()
	_ = first.Wait()
	start("node1") // as after a power cut
	atLeast("node1", used+100*time.Millisecond)
	if got := m.Read(); len(got) != 1 {
		t.Errorf("read %v, want node1 alone", got)
	}
}
