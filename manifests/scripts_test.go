package manifests_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pmem-memcached-e2e/manifests"
)

const (
	initScript = "data-volume-init.sh"
	wrapper    = "memcached-wrapper.sh"
)

var scriptNames = []string{initScript, wrapper}

func readScript(t *testing.T, name string) string {
	t.Helper()
	data, err := manifests.FS.ReadFile("components/wrapper/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestShellcheck(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Fatalf("%v: install shellcheck (Debian package shellcheck)", err)
	}
	for _, name := range scriptNames {
		path := filepath.Join("components", "wrapper", name)
		output, err := exec.Command(shellcheck, "--shell=dash", path).CombinedOutput()
		if err != nil {
			t.Errorf("shellcheck %s: %v\n%s", path, err, output)
		}
	}
}

func lookPath(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: install %s and see that it is in PATH", err, program)
	}
	return path
}

// TestRefusals needs each message to say what is wrong, where, and the remedy.
func TestRefusals(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, path string) {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	chmod := func(t *testing.T, path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	mkdir := func(t *testing.T, path string) {
		t.Helper()
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	persistent := []string{"persistent"}
	for _, test := range []struct {
		name   string
		script string
		args   []string
		env    string
		change func(t *testing.T, v volume)
		want   []string
	}{
		{"no mode", wrapper, nil, "", nil, []string{"unknown mode ''", "must be ephemeral or persistent"}},
		{"unknown mode", wrapper, []string{"both"}, "", nil, []string{"unknown mode 'both'"}},
		{"two arguments", wrapper, []string{"persistent", "x"}, "", nil, []string{"one argument is expected, 2"}},
		{"bad minimum", wrapper, persistent, "MEMORY_FILE_MIN_MIB=3x", nil, []string{"MEMORY_FILE_MIN_MIB=3x", "set it to"}},
		{"open quote", wrapper, persistent, "MEMCACHED_ARGS=-D 'x", nil, []string{"MEMCACHED_ARGS=-D 'x", "close every quote"}},
		{"no memcached", wrapper, persistent, "PATH=/nowhere:/bin-without", nil, []string{"memcached is not in PATH", "use an image"}},
		{"missing file", wrapper, persistent, "", func(t *testing.T, v volume) { remove(t, v.memoryFile()) },
			[]string{"is missing", "run data-volume-init.sh"}},
		{"directory", wrapper, persistent, "", func(t *testing.T, v volume) { remove(t, v.memoryFile()); mkdir(t, v.memoryFile()) },
			[]string{"not a regular file (directory)", "move it"}},
		{"small file", wrapper, persistent, "", func(t *testing.T, v volume) { remove(t, v.memoryFile()); v.allocate(t, 38<<20) },
			[]string{"has 38 MiB", "at least 39", "use a larger volume"}},
		{"unwritable file", wrapper, persistent, "", func(t *testing.T, v volume) { chmod(t, v.memoryFile(), 0o400) },
			[]string{"not readable and writable for user", "mode 400", "give it to that user"}},
		{"unwritable directory", wrapper, persistent, "", func(t *testing.T, v volume) { chmod(t, v.dir, 0o500) },
			[]string{"is not writable", "set fsGroup"}},
		{"state file is a directory", wrapper, persistent, "", func(t *testing.T, v volume) { mkdir(t, v.stateFile()) },
			[]string{".meta is not a regular file (directory)", "move it"}},

		{"init: relative path", initScript, nil, "MEMORY_FILE=file", nil, []string{"MEMORY_FILE=file is not an absolute path"}},
		{"init: bad minimum", initScript, nil, "MEMORY_FILE_MIN_MIB=0", nil, []string{"MEMORY_FILE_MIN_MIB=0", "set it to"}},
		{"init: no directory", initScript, nil, "MEMORY_FILE=/nowhere/file", nil, []string{"/nowhere is not a directory", "mount the volume"}},
		{"init: directory", initScript, nil, "", func(t *testing.T, v volume) { remove(t, v.memoryFile()); mkdir(t, v.memoryFile()) },
			[]string{"not a regular file (directory)", "move it"}},
		{"init: link", initScript, nil, "", func(t *testing.T, v volume) {
			remove(t, v.memoryFile())
			if err := os.Symlink("/dev/null", v.memoryFile()); err != nil {
				t.Fatal(err)
			}
		}, []string{"not a regular file (symbolic link)", "move it"}},
		{"init: unwritable file", initScript, nil, "", func(t *testing.T, v volume) { chmod(t, v.memoryFile(), 0o400) },
			[]string{"not readable and writable for user", "give it to that user"}},
		{"init: unwritable directory", initScript, nil, "", func(t *testing.T, v volume) { chmod(t, v.dir, 0o500) },
			[]string{"cannot create a file in", "mode 500; Permission denied", "set fsGroup"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVolume(t)
			v.allocate(t, fileSize)
			t.Cleanup(func() { chmod(t, v.dir, 0o755) })
			if test.change != nil {
				test.change(t, v)
			}
			var env []string
			if test.env != "" {
				env = append(env, test.env)
			}
			status, stderr := v.run(t, test.script, env, test.args...)
			equal(t, "exit status", status, 1)
			if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, test.script+": ") {
				t.Errorf("want one line that begins with %s:, got:\n%s", test.script, stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("message lacks %q: %s", want, stderr)
				}
			}
		})
	}
}
