package manifests_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fileSize is large enough for the 39 slab pages that memcached takes at start.
const fileSize = 40 << 20

// saved makes a volume whose memory file holds key "demo_key" and whose state
// file comes from a graceful stop.
func saved(t *testing.T) volume {
	t.Helper()
	v := newVolume(t)
	v.allocate(t, fileSize)
	s := v.start(t, "persistent", "")
	s.ready(t)
	s.expectCold(t, "demo_key")
	s.set(t, "demo_key", "I am PMEM.")
	s.stop(t)
	if info, err := os.Stat(v.stateFile()); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Fatalf("state file after SIGTERM: %v, %v; want a file of mode 0600 that is not empty\n%s", info, err, s.log)
	}
	return v
}

func TestWarmRestart(t *testing.T) {
	notShort(t)
	t.Parallel()
	v := saved(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1} {
		s := v.start(t, "persistent", "")
		s.ready(t)
		s.expectWarm(t, "demo_key", "I am PMEM.")
		equal(t, "limit_maxbytes", s.stat(t, "", "limit_maxbytes"), fmt.Sprint(fileSize))
		equal(t, "memory_file", s.stat(t, "settings", "memory_file"), v.memoryFile())
		if _, err := os.Stat(v.stateFile()); err == nil {
			t.Error("the state file is still there while memcached runs")
		}
		s.signal(t, sig)
		if status := s.wait(t); status != 0 {
			t.Fatalf("after %v the wrapper ended with status %d, want 0:\n%s", sig, status, s.log)
		}
	}
}

// TestSameSecond starts memcached in the second that the state file names as
// that of the stop, which memcached by itself takes for a clock that went back.
func TestSameSecond(t *testing.T) {
	notShort(t)
	t.Parallel()
	v := saved(t)
	state, err := os.ReadFile(v.stateFile())
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the beginning of a second", func() (bool, string) {
		return time.Now().Nanosecond() < 100e6, ""
	})
	lines := strings.Split(string(state), "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "Kstop_time ") })
	if i < 0 {
		t.Fatalf("no line Kstop_time in the state file:\n%s", state)
	}
	lines[i] = fmt.Sprintf("Kstop_time %d", time.Now().Unix())
	if err := os.WriteFile(v.stateFile(), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := v.start(t, "persistent", "")
	s.ready(t)
	s.expectWarm(t, "demo_key", "I am PMEM.")
}

func TestEphemeral(t *testing.T) {
	t.Parallel()
	v := newVolume(t)
	v.allocate(t, fileSize)
	s := v.start(t, "ephemeral", "")
	s.ready(t)
	equal(t, "memcached's process", s.memcached(t), s.command.Process.Pid)
	equal(t, "limit_maxbytes", s.stat(t, "", "limit_maxbytes"), fmt.Sprint(fileSize))
	s.set(t, "demo_key", "I am PMEM.")
	data, err := os.ReadFile(v.memoryFile())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("I am PMEM.")) {
		t.Error("the value is not in the memory file")
	}
	s.stop(t)
	if _, err := os.Stat(v.stateFile()); !os.IsNotExist(err) {
		t.Errorf("state file after SIGTERM: got error %v, want none to exist", err)
	}
	s = v.start(t, "ephemeral", "")
	s.ready(t)
	s.expectCold(t, "demo_key")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, args string
		want       []string
	}{
		{"none", "", nil},
		{"one", "--conn-limit=500", []string{"--conn-limit=500"}},
		{"blanks and newlines", "  --conn-limit=500\n\t-t   2 \n", []string{"--conn-limit=500", "-t", "2"}},
		{"double quotes", `-t 2 -D "a  b"`, []string{"-t", "2", "-D", "a  b"}},
		{"single quotes", `-D '"x" y'`, []string{"-D", `"x" y`}},
		{"backslash", `-D a\ b`, []string{"-D", "a b"}},
		{"empty", `"" -t 2 ''`, []string{"", "-t", "2", ""}},
		{"no evaluation", `-D $(touch evaluated)` + " `touch evaluated` $HOME * ; touch evaluated & | > evaluated",
			[]string{"-D", "$(touch", "evaluated)", "`touch", "evaluated`", "$HOME", "*", ";", "touch", "evaluated", "&", "|", ">", "evaluated"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVolume(t)
			v.allocate(t, fileSize)
			s := v.start(t, "persistent", test.args)
			s.ready(t)
			cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.memcached(t)))
			if err != nil {
				t.Fatal(err)
			}
			port := s.addr[strings.LastIndex(s.addr, ":")+1:]
			got := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
			want := append([]string{"memcached", "--memory-limit=40", "--memory-file=" + v.memoryFile(), "-o", "slab_automove=0",
				"-l", host, "-p", port}, test.want...)
			if !slices.Equal(got, want) {
				t.Errorf("arguments of memcached: got %q, want %q", got, want)
			}
			if strings.Contains(test.args, "500") {
				equal(t, "maxconns", s.stat(t, "settings", "maxconns"), "500")
			}
			if _, err := os.Stat(filepath.Join(v.dir, "evaluated")); err == nil {
				t.Error("MEMCACHED_ARGS was evaluated by a shell")
			}
			s.stop(t)
		})
	}
}

func TestStateFile(t *testing.T) {
	notShort(t)
	t.Parallel()
	for _, test := range []struct {
		name    string
		change  func(state []byte) []byte
		message string // of the wrapper; empty: the file is left to memcached
	}{
		{"empty", func([]byte) []byte { return nil }, "is empty"},
		{"garbage", func([]byte) []byte { return []byte("hello\nworld\n") }, "does not begin with Tmain"},
		{"NUL bytes", func(s []byte) []byte { return make([]byte, len(s)) }, "does not begin with Tmain"},
		{"NUL bytes after the tag", func(s []byte) []byte { return append([]byte("Tmain\n"), make([]byte, 300)...) }, "is not a key and a value"},
		{"NUL bytes in a line", func(s []byte) []byte { return bytes.Replace(s, []byte("Kmaxbytes "), []byte("Kmaxbytes \x00"), 1) }, "is not a key and a value"},
		{"other tag", func(s []byte) []byte { return append([]byte("Tother\n"), s...) }, "does not begin with Tmain"},
		{"second tag", func(s []byte) []byte { return append(s, "Tother\n"...) }, "is not a key and a value"},
		{"binary", func(s []byte) []byte { return append(s, 0xff, 0xfe, '\n') }, "is not a key and a value"},
		{"huge", func(s []byte) []byte { return append(s, bytes.Repeat([]byte("Kx 1\n"), 1<<14)...) }, "larger than any state file"},
		{"last line cut", func(s []byte) []byte { return s[:len(s)-4] }, "middle of a line"},
		{"cut after the tag", func([]byte) []byte { return []byte("Tmain\n") }, ""},
		{"cut after a line", func(s []byte) []byte { return bytes.Join(bytes.SplitAfter(s, []byte("\n"))[:4], nil) }, ""},
		{"other limit", func(s []byte) []byte { return bytes.Replace(s, []byte("Kmaxbytes 4"), []byte("Kmaxbytes 5"), 1) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := saved(t)
			state, err := os.ReadFile(v.stateFile())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(v.stateFile(), test.change(state), 0o600); err != nil {
				t.Fatal(err)
			}
			s := v.start(t, "persistent", "")
			s.ready(t)
			s.expectCold(t, "demo_key")
			message := wrapper + ": removing "
			if got := strings.Contains(s.log.String(), message); got != (test.message != "") {
				t.Errorf("log has %q: %v, want %v:\n%s", message, got, !got, s.log)
			}
			if !strings.Contains(s.log.String(), test.message) {
				t.Errorf("log does not tell %q:\n%s", test.message, s.log)
			}
			s.set(t, "new_key", "new value")
			s.stop(t)
			s = v.start(t, "persistent", "")
			s.ready(t)
			s.expectWarm(t, "new_key", "new value")
		})
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	v := saved(t)
	s := v.start(t, "persistent", "")
	s.ready(t)
	s.expectWarm(t, "demo_key", "I am PMEM.")
	if err := syscall.Kill(s.memcached(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	equal(t, "status after SIGKILL of memcached", s.wait(t), 137)
	s = v.start(t, "persistent", "")
	s.ready(t)
	s.expectCold(t, "demo_key")
	s.stop(t)
}

// TestStateFileReturns puts the state file back that memcached had removed, as a power cut soon after a warm start does.
func TestStateFileReturns(t *testing.T) {
	t.Parallel()
	v := saved(t)
	state, err := os.ReadFile(v.stateFile())
	if err != nil {
		t.Fatal(err)
	}
	s := v.start(t, "persistent", "")
	s.ready(t)
	s.expectWarm(t, "demo_key", "I am PMEM.")
	if err := syscall.Kill(s.memcached(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	if err := os.WriteFile(v.stateFile(), state, 0o600); err != nil {
		t.Fatal(err)
	}
	own(t, v.stateFile())
	s = v.start(t, "persistent", "")
	s.ready(t)
	s.expectCold(t, "demo_key")
	if message := "removing " + v.stateFile() + ", which is older than the last use of " + v.memoryFile(); !strings.Contains(s.log.String(), message) {
		t.Errorf("log does not report %q:\n%s", message, s.log)
	}
	s.set(t, "new_key", "new value")
	s.stop(t)
	s = v.start(t, "persistent", "")
	s.ready(t)
	s.expectWarm(t, "new_key", "new value")
	s.stop(t)
}

// TestCacheSurvivesFailedStart starts memcached with an option that it refuses before it uses the cache.
func TestCacheSurvivesFailedStart(t *testing.T) {
	t.Parallel()
	v := saved(t)
	if s := v.start(t, "persistent", "--no-such-option"); s.wait(t) == 0 {
		t.Fatalf("memcached accepts --no-such-option:\n%s", s.log)
	}
	s := v.start(t, "persistent", "")
	s.ready(t)
	s.expectWarm(t, "demo_key", "I am PMEM.")
	s.stop(t)
}

// TestFailedStart uses an option that memcached refuses.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"ephemeral", "persistent"} {
		v := newVolume(t)
		v.allocate(t, fileSize)
		s := v.start(t, mode, "--no-such-option")
		if status := s.wait(t); status == 0 || !strings.Contains(s.log.String(), "no-such-option") {
			t.Errorf("%s: status %d, want memcached's own; log, which has to name the option:\n%s", mode, status, s.log)
		}
	}
}

// TestFileInUse starts wrapper and init script while another memcached uses the
// memory file, as after the removal of a pod without a grace period.
func TestFileInUse(t *testing.T) {
	notShort(t)
	t.Parallel()
	v := saved(t)
	first := v.start(t, "persistent", "")
	first.ready(t)
	first.expectWarm(t, "demo_key", "I am PMEM.")

	const waits = "waiting until another memcached has stopped using"
	waiting := func(log fmt.Stringer) {
		t.Helper()
		await(t, "the message that the file is in use", func() (bool, string) {
			return strings.Contains(log.String(), waits), log.String()
		})
	}
	stopped := v.start(t, "persistent", "")
	waiting(stopped.log)
	stopped.signal(t, syscall.SIGTERM)
	equal(t, "status of a wrapper that was stopped while it waited", stopped.wait(t), 0)

	second := v.start(t, "persistent", "")
	waiting(second.log)
	initLog := &logBuffer{}
	prepare := v.command(initScript, nil)
	prepare.Stderr = initLog
	if err := prepare.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-prepare.Process.Pid, syscall.SIGKILL) })
	waiting(initLog)
	if strings.Contains(second.log.String(), "starting memcached") {
		t.Errorf("memcached was started on a file in use:\n%s", second.log)
	}

	first.stop(t)
	second.ready(t)
	second.expectWarm(t, "demo_key", "I am PMEM.")
	second.stop(t)
	if err := prepare.Wait(); err != nil {
		t.Errorf("the init script ended with %v:\n%s", err, initLog)
	}
}

// TestEarlyStop sends SIGTERM at different moments of the start: none may lose
// the cache.
func TestEarlyStop(t *testing.T) {
	notShort(t)
	t.Parallel()
	v := saved(t)
	stop := func(s *server) {
		t.Helper()
		s.signal(t, syscall.SIGTERM)
		status := s.wait(t)
		// Before the shell has read its first lines the signal just ends it.
		if status != 0 && (status != 143 || s.log.String() != "") {
			t.Fatalf("status %d, want 0:\n%s", status, s.log)
		}
		if info, err := os.Stat(v.stateFile()); err != nil || info.Size() == 0 {
			t.Fatalf("no state file: %v, %v\n%s", info, err, s.log)
		}
	}
	for _, delay := range []time.Duration{0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 20, 25, 30, 40, 60} {
		s := v.start(t, "persistent", "")
		time.Sleep(delay * time.Millisecond) // the moment is the stimulus
		stop(s)
	}
	for range 5 {
		s := v.start(t, "persistent", "")
		s.memcached(t)
		stop(s)
	}
	s := v.start(t, "persistent", "")
	s.ready(t)
	s.expectWarm(t, "demo_key", "I am PMEM.")
}

// TestSlowStart sends signals while memcached has no handler yet, by starting
// it late.
func TestSlowStart(t *testing.T) {
	notShort(t)
	t.Parallel()
	v := saved(t)
	late := filepath.Join(v.scripts, "late")
	if err := os.Mkdir(late, 0o755); err != nil {
		t.Fatal(err)
	}
	real := lookPath(t, "memcached")
	text := "#!/bin/sh\ntouch " + v.dir + "/started\nsleep 1\nexec " + real + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(late, "memcached"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	s := v.start(t, "persistent", "", "PATH="+late+":"+os.Getenv("PATH"))
	await(t, "the late start", func() (bool, string) {
		_, err := os.Stat(filepath.Join(v.dir, "started"))
		return err == nil, s.log.String()
	})
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		s.signal(t, sig)
	}
	equal(t, "status", s.wait(t), 0)
	s = v.start(t, "persistent", "")
	s.ready(t)
	s.expectWarm(t, "demo_key", "I am PMEM.")
}
