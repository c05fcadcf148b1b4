package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pmem-memcached-e2e/framework/lab/network"
)

// stepVariable makes the test's executable take a step with a lab as an
// ordinary user's command does.
const stepVariable = "PMEM_LAB_TEST_STEP"

// Of the user who is made up for the test.
const (
	userID  = 54321
	firstID = 300000000
)

// TestRootless takes an ordinary user through what a lab needs root for. The
// user and the ids that are the user's exist in a mount namespace alone.
func TestRootless(t *testing.T) {
	u := makeUser(t, "pmem-lab-test:300000000:65536\n")
	started := u.step(t, "start")
	for what, want := range map[string]string{"euid": "0", "bounding": "0000000000000000", "effective": "0000000000000000", "newprivs": "1", "bridge": network.Bridge, "mke2fs": "true"} {
		if started[what] != want {
			t.Errorf("%s is %q, want %q", what, started[what], want)
		}
	}
	info, err := os.Stat(filepath.Join(u.state, "test", "file"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != firstID+41 {
		t.Errorf("a file of user 42 of the namespace belongs to %d, want %d", got, firstID+41)
	}
	// Another command is in the same namespaces.
	found := u.step(t, "find")
	for _, what := range []string{"user", "net", "pid", "bridge"} {
		if found[what] != started[what] || found[what] == "" {
			t.Errorf("%s is %q, and was %q to the command that started it", what, found[what], started[what])
		}
	}
	u.step(t, "down")
	if _, err := os.Lstat(u.state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", u.state, err)
	}
	after := u.step(t, "find")
	if after["pid"] != "" || after["user"] == started["user"] || after["user"] == "" {
		t.Errorf("after the end of the lab: %v", after)
	}
}

func TestRootlessRefused(t *testing.T) {
	u := makeUser(t, "somebody:300000000:65536\n")
	out, err := u.command("find").CombinedOutput()
	for _, want := range []string{ErrHost.Error(), "/etc/subuid", "pmem-lab-test", "usermod --add-subuids", "KUBECONFIG"} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s\nwant a refusal with %q", err, out, want)
		}
	}
}

// testUser is who takes the steps.
type testUser struct{ dir, executable, state string }

// asUser runs a command as the user. It ends with the mounts that make the
// files in $1 the system's.
const asUser = `set -eu
cd "$1"
for file in passwd subuid subgid; do mount --bind $file /etc/$file; done
mkdir dev
mount -t tmpfs -o mode=0755 lab-test dev
mknod -m 0666 dev/tun c 10 200
mount --bind dev/tun /dev/net/tun
shift
exec setpriv --reuid 54321 --regid 54321 --clear-groups "$@"
`

func makeUser(t *testing.T, ids string) testUser {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a user up")
	}
	for _, tool := range []string{"newuidmap", "newgidmap", "unshare", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: make packages installs what the tests need", err)
		}
	}
	dir, err := os.MkdirTemp("", "pmem-lab-test-")
	if err != nil {
		t.Fatal(err)
	}
	u := testUser{dir, filepath.Join(dir, "test"), fmt.Sprintf("/var/tmp/pmem-memcached-e2e-%d", userID)}
	t.Cleanup(func() {
		if err := errors.Join(os.RemoveAll(dir), os.RemoveAll(u.state)); err != nil {
			t.Error(err)
		}
	})
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	executable, err := os.OpenFile(u.executable, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(executable, self)
	if err := errors.Join(err, executable.Close(), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"passwd": fmt.Sprintf("root:x:0:0::/:/bin/sh\npmem-lab-test:x:%d:%[1]d::/:/bin/sh\n", userID), "subuid": ids, "subgid": ids,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func (u testUser) command(step string) *exec.Cmd {
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", asUser, "sh", u.dir, u.executable)
	// An earlier command's environment, and the path of a user on Debian.
	cmd.Env = append(os.Environ(), stepVariable+"="+step, "PMEM_LAB_USER=1", "PATH=/usr/local/bin:/usr/bin:/bin")
	cmd.Dir = "/"
	return cmd
}

// step returns what the step says, by name.
func (u testUser) step(t *testing.T, step string) map[string]string {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(u.dir, "dev")); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := u.command(step)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", step, err, out, stderr.Bytes())
	}
	said := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			said[name] = value
		}
	}
	return said
}

// takeStep is what becomes of the test's executable that a user starts.
func takeStep() {
	step := os.Getenv(stepVariable)
	if step == "" {
		return
	}
	if err := onLab(step); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func onLab(step string) error {
	l, err := New(Options{Name: "test", CacheDir: "/nowhere", SourceDir: "/nowhere"})
	if err != nil {
		return err
	}
	if err := l.BecomeRoot(); err != nil {
		return err
	}
	switch step {
	case "start":
		m := &making{lab: l, plan: l.opts.planned(0, 1)}
		if err := m.enterNetwork(context.Background()); err != nil {
			return err
		}
		if _, err := l.programs.Start("sleeper", exec.Command("sleep", "600")); err != nil {
			return err
		}
		// What a root filesystem would have.
		err = errors.Join(os.WriteFile(l.dir.Path("file"), nil, 0o600), os.Chown(l.dir.Path("file"), 42, 42))
	case "down":
		err = l.Down(context.Background())
	}
	return errors.Join(err, l.say())
}

// say writes down where this process and those of the lab are.
func (l *Lab) say() error {
	space, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return err
	}
	_, err = exec.LookPath("mke2fs")
	fmt.Printf("euid=%d\nuser=%s\nmke2fs=%v\n", os.Geteuid(), space, err == nil)
	p, ok := l.programs.Find("sleeper")
	if !ok {
		return nil
	}
	if space, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/net", p.PID)); err != nil {
		return err
	}
	fmt.Printf("pid=%d\nnet=%s\n", p.PID, space)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return err
	}
	fields := strings.Fields(string(status))
	for name, field := range map[string]string{"effective": "CapEff:", "bounding": "CapBnd:", "newprivs": "NoNewPrivs:"} {
		fmt.Printf("%s=%s\n", name, fields[slices.Index(fields, field)+1])
	}
	return l.programs.InNetwork(func() error {
		out, err := exec.Command("ip", "-brief", "link", "show", network.Bridge).Output()
		name, _, _ := strings.Cut(string(out), " ")
		fmt.Printf("bridge=%s\n", name)
		return err
	})
}
