package manifests_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const mib = 1 << 20

// mkfs has the arguments of PMEM-CSI v1.1.0, pkg/pmem-csi-driver/nodeserver.go.
// The last has no extents and thus no fallocate.
var mkfs = map[string][]string{
	"ext4": {"mkfs.ext4", "-b", "4096", "-E", "stride=512,stripe_width=512", "-F"},
	"xfs":  {"mkfs.xfs", "-b", "size=4096", "-m", "reflink=0", "-d", "su=2m,sw=1", "-f"},
	"ext2": {"mkfs.ext2", "-F"},
}

// mountVolume makes a filesystem in a sparse image of size bytes and mounts it as
// the kubelet hands a volume with fsGroup to a pod. The scripts run confined on
// it. Everything is removed when the test ends.
func mountVolume(t *testing.T, fsType string, size int64) volume {
	t.Helper()
	v := newVolume(t)
	v.confine = true
	image := filepath.Join(filepath.Dir(v.dir), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	tool(t, append(mkfs[fsType], image)...)
	device := strings.TrimSpace(tool(t, "losetup", "--find", "--show", image))
	t.Cleanup(func() { tool(t, "losetup", "--detach", device) })
	tool(t, "mount", "-t", fsType, device, v.dir)
	t.Cleanup(func() { tool(t, "umount", v.dir) })
	if fsType == "xfs" {
		tool(t, "xfs_io", "-c", "extsize 2m", v.dir) // as the driver's pkg/xfs does
	}
	if err := os.Chown(v.dir, 0, memcacheUser); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(v.dir, 0o775|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	return v
}

// needRoot is called by the test itself, not by its subtests: a test of which all
// subtests are skipped would read as passed.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for loop devices and mounts: run the test as root")
	}
}

func tool(t *testing.T, line ...string) string {
	t.Helper()
	output, err := exec.Command(line[0], line[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v (Debian packages e2fsprogs, xfsprogs, mount, util-linux)\n%s", strings.Join(line, " "), err, output)
	}
	return string(output)
}

// available returns the bytes that a user other than root may still take.
func (v volume) available(t *testing.T) int64 {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.dir, &fs); err != nil {
		t.Fatal(err)
	}
	return int64(fs.Bavail) * fs.Frsize
}

// prepare runs data-volume-init.sh, which has to succeed, and returns the size of
// the memory file after checking its form.
func (v volume) prepare(t *testing.T) (size int64, stderr string) {
	t.Helper()
	status, stderr := v.run(t, initScript, nil)
	if status != 0 {
		t.Fatalf("%s ended with status %d, want 0:\n%s", initScript, status, stderr)
	}
	info, err := os.Stat(v.memoryFile())
	if err != nil {
		t.Fatal(err)
	}
	system := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Size() == 0 || info.Size()%mib != 0:
		t.Fatalf("the memory file has %d bytes, want whole MiB", info.Size())
	case system.Blocks*512 < info.Size():
		t.Fatalf("of the memory file's %d bytes only %d are allocated", info.Size(), system.Blocks*512)
	case system.Uid != memcacheUser:
		t.Fatalf("the memory file belongs to user %d, want %d", system.Uid, memcacheUser)
	}
	if _, err := os.Stat(v.memoryFile() + ".new"); !os.IsNotExist(err) {
		t.Fatalf("the file under construction is left: %v", err)
	}
	return info.Size(), stderr
}

func (v volume) write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	own(t, path)
}

// TestExistingFile gives data-volume-init.sh what an earlier run, a crash or a
// user can leave behind.
func TestExistingFile(t *testing.T) {
	notShort(t)
	needRoot(t)
	t.Parallel()
	const size = 64 * mib
	marker := []byte("I am PMEM.")
	for _, test := range []struct {
		name    string
		before  func(t *testing.T, v volume)
		message string
		keeps   bool // memory file and state file
	}{
		{"nothing", func(*testing.T, volume) {}, "made ", false},
		{"good", func(t *testing.T, v volume) {
			v.allocate(t, size-10*mib)
			writeAt(t, v.memoryFile(), marker)
			v.write(t, v.stateFile(), []byte("Tmain\n"))
		}, "keeping ", true},
		{"holes", func(t *testing.T, v volume) {
			v.write(t, v.memoryFile(), nil)
			writeAt(t, v.memoryFile(), marker)
			if err := os.Truncate(v.memoryFile(), size); err != nil {
				t.Fatal(err)
			}
			v.write(t, v.stateFile(), []byte("Tmain\n"))
		}, "had holes and is now fully allocated", true},
		{"holes without room", func(t *testing.T, v volume) {
			v.write(t, v.memoryFile(), nil)
			if err := os.Truncate(v.memoryFile(), 1000*mib); err != nil {
				t.Fatal(err)
			}
		}, "is not fully allocated (No space left on device)", false},
		{"empty", func(t *testing.T, v volume) {
			v.write(t, v.memoryFile(), nil)
			v.write(t, v.stateFile(), []byte("Tmain\n"))
		}, "is empty", false},
		{"not whole MiB", func(t *testing.T, v volume) {
			v.allocate(t, size+1)
			v.write(t, v.stateFile(), []byte("Tmain\n"))
		}, "not a whole number of MiB", false},
		{"small", func(t *testing.T, v volume) { v.allocate(t, 20*mib) }, "has 20 MiB, memcached needs at least 39", false},
		{"state file of a lost memory file", func(t *testing.T, v volume) {
			v.write(t, v.stateFile(), []byte("Tmain\n"))
		}, "which belongs to an earlier memory file", false},
		{"unfinished file", func(t *testing.T, v volume) {
			v.allocate(t, 150*mib)
			if err := os.Rename(v.memoryFile(), v.memoryFile()+".new"); err != nil {
				t.Fatal(err)
			}
		}, "made ", false},
		// Root takes what it can get less 50 MiB, reserved blocks included. Here
		// that leaves nothing for anybody else, as it does on large volumes.
		{"no room for the state file", func(t *testing.T, v volume) {
			v.allocate(t, v.available(t)/mib*mib)
		}, "too little for the state file", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := mountVolume(t, "ext4", 200*mib)
			usable := v.available(t)
			test.before(t, v)
			before, _ := os.Stat(v.memoryFile())
			got, stderr := v.prepare(t)
			if !strings.Contains(stderr, test.message) {
				t.Errorf("message lacks %q:\n%s", test.message, stderr)
			}
			after, err := os.Stat(v.memoryFile())
			if err != nil {
				t.Fatal(err)
			}
			if kept := before != nil && os.SameFile(before, after) && before.Size() == after.Size(); kept != test.keeps {
				t.Errorf("memory file kept: %v, want %v", kept, test.keeps)
			}
			_, err = os.Stat(v.stateFile())
			if kept := err == nil; kept != test.keeps {
				t.Errorf("state file kept: %v, want %v", kept, test.keeps)
			}
			if test.keeps {
				begin := make([]byte, len(marker))
				file, err := os.Open(v.memoryFile())
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				if _, err := file.Read(begin); err != nil {
					t.Fatal(err)
				}
				equal(t, "begin of the memory file", string(begin), string(marker))
			} else if float64(got) < 0.85*float64(usable) {
				t.Errorf("the new memory file has %d MiB of %d MiB", got/mib, usable/mib)
			}
		})
	}
}

func writeAt(t *testing.T, path string, data []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
}

// TestInterruptedInit stops data-volume-init.sh between the allocation and the
// rename, which a late sync makes long enough.
func TestInterruptedInit(t *testing.T) {
	notShort(t)
	needRoot(t)
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			v := mountVolume(t, "ext4", 100*mib)
			late := filepath.Join(v.scripts, "late")
			if err := os.Mkdir(late, 0o755); err != nil {
				t.Fatal(err)
			}
			text := "#!/bin/sh\nsleep 1\nexec " + lookPath(t, "sync") + ` "$@"` + "\n"
			if err := os.WriteFile(filepath.Join(late, "sync"), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			command := v.command(initScript, []string{"PATH=" + late + ":" + os.Getenv("PATH")})
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			await(t, "the file under construction to be allocated", func() (bool, string) {
				info, err := os.Stat(v.memoryFile() + ".new")
				return err == nil && info.Size() > 0, fmt.Sprint(err)
			})
			// To the whole group, for a late sync would keep the mount busy.
			if err := syscall.Kill(-command.Process.Pid, sig); err != nil {
				t.Fatal(err)
			}
			if err := command.Wait(); err == nil {
				t.Error("the interrupted script ended with status 0")
			}
			// The shell may end before a child that has the file open, whose blocks are free only after that.
			await(t, "every process of the script to end", func() (bool, string) {
				err := syscall.Kill(-command.Process.Pid, 0)
				return errors.Is(err, syscall.ESRCH), fmt.Sprintf("signal 0 to its group: %v", err)
			})
			if _, err := os.Stat(v.memoryFile()); !os.IsNotExist(err) {
				t.Errorf("memory file after the interrupt: got error %v, want none to exist", err)
			}
			v.prepare(t)
		})
	}
}

func TestNoFallocate(t *testing.T) {
	needRoot(t)
	t.Parallel()
	v := mountVolume(t, "ext2", 200*mib)
	status, stderr := v.run(t, initScript, nil)
	equal(t, "exit status", status, 1)
	if !strings.Contains(stderr, "Operation not supported") || !strings.Contains(stderr, "use a filesystem with fallocate, ext4 or xfs") {
		t.Errorf("message lacks cause or remedy: %s", stderr)
	}
	if _, err := os.Stat(v.memoryFile()); !os.IsNotExist(err) {
		t.Errorf("memory file: got error %v, want none to exist", err)
	}
}
