package manifests_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// host is an address that only these tests listen at: seconds lie between the choice of a port and the start of a memcached
// that touches gigabytes, in which tests of other packages can take the port at another address of the host.
const host = "127.0.0.2"

// memcacheUser is user and group of memcached in the upstream image.
const memcacheUser = 11211

// volume is a directory in place of a mounted volume, with the scripts next to it.
type volume struct {
	dir     string // memory file and state file are here
	scripts string
	confine bool // run like the pod's containers: see command
}

// newVolume makes an empty volume that belongs to the user of memcached.
func newVolume(t *testing.T) volume {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o711); err != nil { // for another user
		t.Fatal(err)
	}
	v := volume{dir: filepath.Join(root, "data"), scripts: filepath.Join(root, "scripts")}
	for _, dir := range []string{v.dir, v.scripts} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range scriptNames {
		if err := os.WriteFile(filepath.Join(v.scripts, name), []byte(readScript(t, name)), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	own(t, v.dir)
	return v
}

// own gives path to the user of memcached, when the tests may do that.
func own(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Lchown(path, memcacheUser, memcacheUser); err != nil {
		t.Fatal(err)
	}
}

func (v volume) memoryFile() string { return filepath.Join(v.dir, "memcached-memory-file") }
func (v volume) stateFile() string  { return v.memoryFile() + ".meta" }

// allocate makes a memory file without data-volume-init.sh, which would take
// all of the filesystem that the tests run on.
func (v volume) allocate(t *testing.T, size int64) {
	t.Helper()
	file, err := os.Create(v.memoryFile())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := syscall.Fallocate(int(file.Fd()), 0, 0, size); err != nil {
		t.Fatalf("allocate %d bytes for %s: %v", size, file.Name(), err)
	}
	own(t, file.Name())
}

// command prepares script to run as the user of memcached. A confined one also
// has no capability, cannot gain any, and sees a root filesystem that is
// read-only, /tmp included.
func (v volume) command(script string, env []string, args ...string) *exec.Cmd {
	line := append([]string{"sh", filepath.Join(v.scripts, script)}, args...)
	attributes := &syscall.SysProcAttr{Setpgid: true}
	switch {
	case v.confine:
		id := strconv.Itoa(memcacheUser)
		line = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c",
			`mount -o remount,bind,ro / && exec setpriv --reuid ` + id + ` --regid ` + id +
				` --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"`, "sh"}, line...)
	case os.Geteuid() == 0:
		attributes.Credential = &syscall.Credential{Uid: memcacheUser, Gid: memcacheUser}
	}
	command := exec.Command(line[0], line[1:]...)
	command.SysProcAttr = attributes
	command.Dir = v.dir
	command.Env = append(append(os.Environ(), "MEMORY_FILE="+v.memoryFile()), env...)
	return command
}

// run runs script to its end and returns its exit status and standard error.
func (v volume) run(t *testing.T, script string, env []string, args ...string) (int, string) {
	t.Helper()
	command := v.command(script, env, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatalf("start %s: %v", script, err)
	}
	return command.ProcessState.ExitCode(), stderr.String()
}

// server is a running wrapper with its memcached.
type server struct {
	command *exec.Cmd
	addr    string
	log     *logBuffer
	ended   chan struct{}
}

// start runs the wrapper with memcached on a free port of the loopback device.
func (v volume) start(t *testing.T, mode string, args string, env ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("memcached"); err != nil {
		t.Fatalf("%v: install memcached (Debian package memcached)", err)
	}
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	listener.Close()

	env = append(env, fmt.Sprintf("MEMCACHED_ARGS=-l %s -p %s %s", host, port, args))
	s := &server{command: v.command(wrapper, env, mode), addr: addr, log: &logBuffer{}, ended: make(chan struct{})}
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL)
		<-s.ended
	})
	return s
}

// ready waits until memcached answers.
func (s *server) ready(t *testing.T) {
	t.Helper()
	await(t, "memcached at "+s.addr+" to answer", func() (bool, string) {
		select {
		case <-s.ended:
			t.Fatalf("the wrapper ended with status %d before memcached answered:\n%s", s.command.ProcessState.ExitCode(), s.log)
		default:
		}
		_, err := s.stats("")
		return err == nil, fmt.Sprint(err)
	})
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.command.Process.Signal(sig); err != nil {
		t.Fatalf("send %v to the wrapper: %v", sig, err)
	}
}

// wait waits for the end of the wrapper and returns its exit status as a shell
// would: 128 plus the signal for one that was killed.
func (s *server) wait(t *testing.T) int {
	t.Helper()
	await(t, "the wrapper to end", func() (bool, string) {
		select {
		case <-s.ended:
			return true, ""
		default:
			return false, "running; log:\n" + s.log.String()
		}
	})
	status := s.command.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// stop ends the server with SIGTERM, which has to succeed.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	if status := s.wait(t); status != 0 {
		t.Fatalf("after SIGTERM the wrapper ended with status %d, want 0:\n%s", status, s.log)
	}
}

// memcached waits for memcached to be started and returns its process id.
func (s *server) memcached(t *testing.T) int {
	t.Helper()
	pid := s.command.Process.Pid
	var found int
	await(t, "a memcached process", func() (bool, string) {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			return false, err.Error()
		}
		for _, candidate := range append(strings.Fields(string(children)), strconv.Itoa(pid)) {
			name, _ := os.ReadFile("/proc/" + candidate + "/comm")
			if strings.TrimSpace(string(name)) == "memcached" {
				found, _ = strconv.Atoi(candidate)
				return true, ""
			}
		}
		return false, fmt.Sprintf("children %q of %d; log:\n%s", children, pid, s.log)
	})
	return found
}

// stats returns what the command "stats" with argument sub prints.
func (s *server) stats(sub string) (map[string]string, error) {
	connection, err := net.DialTimeout("tcp", s.addr, time.Second)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(connection, "%s\r\nquit\r\n", strings.TrimSpace("stats "+sub)); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(connection); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(text.String()) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "STAT" {
			values[fields[1]] = fields[2]
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("stats %s: unexpected answer %q", sub, text.String())
	}
	return values, nil
}

func (s *server) stat(t *testing.T, sub, name string) string {
	t.Helper()
	values, err := s.stats(sub)
	if err != nil {
		t.Fatal(err)
	}
	return values[name]
}

func (s *server) client() *memcache.Client {
	client := memcache.New(s.addr)
	client.Timeout = 10 * time.Second
	return client
}

func (s *server) set(t *testing.T, key, value string) {
	t.Helper()
	if err := s.client().Set(&memcache.Item{Key: key, Value: []byte(value)}); err != nil {
		t.Fatalf("set %s: %v", key, err)
	}
}

// expectWarm demands that key has value and was not set since the start.
func (s *server) expectWarm(t *testing.T, key, value string) {
	t.Helper()
	values, err := s.stats("")
	if err != nil {
		t.Fatal(err)
	}
	if values["curr_items"] == "0" || values["cmd_set"] != "0" {
		t.Fatalf("cold start: curr_items %s (want more than 0), cmd_set %s (want 0)\n%s", values["curr_items"], values["cmd_set"], s.log)
	}
	item, err := s.client().Get(key)
	if err != nil {
		t.Fatalf("get %s after a warm start: %v", key, err)
	}
	if string(item.Value) != value {
		t.Fatalf("get %s after a warm start: got %q, want %q", key, item.Value, value)
	}
}

func (s *server) expectCold(t *testing.T, key string) {
	t.Helper()
	if items := s.stat(t, "", "curr_items"); items != "0" {
		t.Fatalf("warm start: curr_items %s, want 0\n%s", items, s.log)
	}
	if _, err := s.client().Get(key); err != memcache.ErrCacheMiss {
		t.Fatalf("get %s after a cold start: got %v, want a miss", key, err)
	}
}

// await polls probe until it is true, for a minute at most.
func await(t *testing.T, what string, probe func() (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, seen := probe()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited a minute for %s: last seen: %s", what, seen)
		case <-tick.C:
		}
	}
}

// logBuffer can be read while a process writes to it.
type logBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *logBuffer) Write(data []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(data)
}

func (b *logBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}
