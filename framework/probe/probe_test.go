package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/probe/probetest"
	"pmem-memcached-e2e/framework/wait"
)

const mountTable = `731 621 0:56 / / rw,relatime master:214 - overlay overlay rw,lowerdir=/var/lib/a\040b,upperdir=/u
733 731 0:59 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
740 731 253:0 / /data rw,relatime shared:3 master:4 - ext4 /dev/ndbus0region0fsdax/pvc-8f-5d0c rw,dax=always
741 740 8:1 /sub\011dir /data/in\134side ro - xfs /dev/sda1 rw,attr2,inode64
742 731 8:2 / /data2 rw - ext4 /dev/sdb rw
743 731 259:1 / /old rw,relatime - xfs /dev/pmem0 rw,dax,noquota
744 731 259:2 / /nodax rw,relatime - ext4 /dev/pmem1 rw,dax=never
745 731 259:3 / /inode rw,relatime - ext4 /dev/pmem2 rw,dax=inode
746 731 0:70 / /old rw - tmpfs tmpfs rw,size=64k
`

func TestParseMountinfo(t *testing.T) {
	mounts, err := ParseMountinfo(mountTable)
	if err != nil {
		t.Fatal(err)
	}
	want := Mount{Device: "/dev/ndbus0region0fsdax/pvc-8f-5d0c", FSType: "ext4", Path: "/data", Root: "/", Number: "253:0",
		Options: []string{"rw", "relatime", "rw", "dax=always"}}
	if !reflect.DeepEqual(mounts[2], want) {
		t.Errorf("got %+v, want %+v", mounts[2], want)
	}
	if m := mounts[3]; m.Root != "/sub\tdir" || m.Path != `/data/in\side` {
		t.Errorf("escapes: root %q, path %q", m.Root, m.Path)
	}
	for _, test := range []struct {
		index int
		dax   bool
	}{{0, false}, {2, true}, {4, false}, {5, true}, {6, false}, {7, false}} {
		if m := mounts[test.index]; m.DAX() != test.dax {
			t.Errorf("%s %q: DAX %t, want %t", m.Path, m.Options, m.DAX(), test.dax)
		}
	}
	for path, device := range map[string]string{
		"/data":                "/dev/ndbus0region0fsdax/pvc-8f-5d0c",
		"/data/memory-file":    "/dev/ndbus0region0fsdax/pvc-8f-5d0c",
		`/data/in\side/a`:      "/dev/sda1",
		"/data2/memory-file":   "/dev/sdb",
		"/data3":               "overlay",
		"/old/mounted-over":    "tmpfs",
		"/etc/hostname":        "overlay",
		"/proc/self/mountinfo": "proc",
	} {
		if m, ok := holding(mounts, path); !ok || m.Device != device {
			t.Errorf("mount of %s: %+v, want %s", path, m, device)
		}
	}
	for _, bad := range []string{"nonsense", "1 2 8:1 / /data rw ext4 /dev/sda rw", "1 2 8:1 / - ext4 /dev/sda rw", "1 2 8:1 / /d rw - ext4"} {
		if _, err := ParseMountinfo(bad); err == nil || !strings.Contains(err.Error(), "'"+bad+"'") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestParseMaps(t *testing.T) {
	const text = `55d0c0a00000-55d0c0a28000 r--p 00000000 fe:01 1311                       /usr/bin/memcached
7f2a40000000-7f2a47900000 rw-s 00000000 fd:00 12                         /data/memcached memory-file
7f2a50000000-7f2a50001000 rw-s 00001000 fd:00 13                         /data/gone (deleted)
7f2a60000000-7f2a60021000 rw-p 00000000 00:00 0
7ffc11111000-7ffc11132000 rw-p 00000000 00:00 0                          [stack]
`
	got, err := ParseMaps(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 5 {
		t.Fatalf("%d mappings, want 5", len(got))
	}
	want := Mapping{Start: 0x7f2a40000000, End: 0x7f2a47900000, Perms: "rw-s", Device: "fd:00", Inode: 12, Path: "/data/memcached memory-file"}
	if got[1] != want {
		t.Errorf("got %+v, want %+v", got[1], want)
	}
	if m := got[2]; !m.Deleted || m.Path != "/data/gone" || m.Offset != 0x1000 {
		t.Errorf("deleted: %+v", m)
	}
	if got[3].Path != "" || got[4].Path != "[stack]" {
		t.Errorf("paths %q and %q", got[3].Path, got[4].Path)
	}
	if _, err := ParseMaps("nonsense\n"); err == nil {
		t.Error("nonsense: no error")
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("126877696 247808 512 11211 11212 640 memcache\n")
	want := MemoryFile{Size: 126877696, Allocated: 247808 * 512, UID: 11211, GID: 11212, Mode: 0o640, Owner: "memcache"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	fs, err := parseStatfs("4096 47096 12000 8000 ext2/ext3\n")
	wantFS := Filesystem{Type: "ext2/ext3", BlockSize: 4096, Size: 47096 * 4096, Free: 12000 * 4096, Available: 8000 * 4096}
	if err != nil || fs != wantFS {
		t.Errorf("got %+v, %v; want %+v", fs, err, wantFS)
	}
	if _, err := parseStat("1 2 3"); err == nil {
		t.Error("short stat: no error")
	}
	if _, err := parseStatfs(""); err == nil {
		t.Error("empty stat -f: no error")
	}
}

// startWithMemoryFile runs memcached on a memory file under a name of its own, so that other servers on
// this machine are not mistaken for it, and returns the name, its address and the file.
func startWithMemoryFile(t *testing.T) (name, addr, file string) {
	t.Helper()
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Fatalf("%v; install memcached (Debian: apt-get install memcached)", err)
	}
	dir := t.TempDir()
	for d, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o777} {
		if err := os.Chmod(d, mode); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("mc%d", os.Getpid())
	if err := os.WriteFile(filepath.Join(dir, name), program, 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	listener.Close()
	file = filepath.Join(dir, "memory file")
	args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0", "-m", "48", "--memory-file=" + file}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(filepath.Join(dir, name), args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	w := wait.Waiter{Interval: 10 * time.Millisecond, Limits: map[wait.Name]time.Duration{wait.PodRuns: 10 * time.Second}}
	err = w.Until(t.Context(), wait.PodRuns, "memcached at "+addr,
		func(ctx context.Context) (bool, string, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return false, "", err
			}
			return true, "open", conn.Close()
		})
	if err != nil {
		t.Fatal(err)
	}
	return name, addr, file
}

func TestRealMemcached(t *testing.T) {
	name, addr, file := startWithMemoryFile(t)
	ctx := t.Context()

	p, err := FindProcess(ctx, probetest.Host{}, "n", "p", "c", name)
	if err != nil {
		t.Fatal(err)
	}
	if path, ok := p.MemoryFile(); !ok || path != file {
		t.Errorf("memory file by the arguments %q: %q, want %q", p.Args, path, file)
	}
	mapped, err := Maps(ctx, probetest.Host{}, "n", "p", "c", p.PID, file)
	if err != nil || !mapped {
		t.Errorf("mapped %t, %v; want true", mapped, err)
	}
	if mapped, err := Maps(ctx, probetest.Host{}, "n", "p", "c", p.PID, file+"2"); err != nil || mapped {
		t.Errorf("another file: mapped %t, %v; want false", mapped, err)
	}

	f, err := StatMemoryFile(ctx, probetest.Host{}, "n", "p", "c", file)
	if err != nil || f.Size != 48<<20 || f.UID != p.UID || f.Owner == "" || f.Path != file {
		t.Errorf("file %+v, %v; want 48 MiB owned by %d", f, err, p.UID)
	}
	at, err := PlacementOf(ctx, probetest.Host{}, "n", "p", "c", file)
	if fs := at.Filesystem; err != nil || fs.Size <= fs.Free || fs.Available > fs.Free || fs.Type == "" {
		t.Errorf("filesystem %+v, %v", fs, err)
	}
	m, err := MountOf(ctx, probetest.Host{}, "n", "p", "c", file)
	if err != nil || !strings.HasPrefix(file, m.Path) || m.FSType == "" {
		t.Errorf("mount %+v, %v", m, err)
	}
	if at.File != f || at.Mount.Path != m.Path {
		t.Errorf("together %+v, want %+v and %+v", at, f, m)
	}

	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	marker := fmt.Sprintf("-marker.*%d", os.Getpid())
	fmt.Fprintf(conn, "set k 0 0 %d\r\n%s\r\n", len(marker), marker)
	if _, err := conn.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if found, err := Find(ctx, probetest.Host{}, "n", "p", "c", file, marker, 1<<30); err != nil || !found.Found || !found.Whole {
		t.Errorf("marker found %t, %v; want true", found.Found, err)
	}
	if found, err := Find(ctx, probetest.Host{}, "n", "p", "c", file, "-markerx", 1<<30); err != nil || found.Found {
		t.Errorf("another marker found %t, %v; want false", found.Found, err)
	}
}

func TestErrorsOfCommands(t *testing.T) {
	ctx := t.Context()
	missing := filepath.Join(t.TempDir(), "missing")
	for _, needle := range []string{"", "a\nb"} {
		if _, err := Find(ctx, probetest.Host{}, "n", "p", "c", "/etc/hostname", needle, 1<<30); err == nil || !strings.Contains(err.Error(), strconv.Quote(needle)) {
			t.Errorf("needle %q: %v", needle, err)
		}
	}
	if _, err := Find(ctx, probetest.Host{}, "n", "p", "c", missing, "x", 1<<30); err == nil || !strings.Contains(err.Error(), "ended with exit code 2") {
		t.Errorf("grep of a missing file: %v", err)
	}
	if _, err := StatMemoryFile(ctx, probetest.Host{}, "n", "p", "c", missing); err == nil || !strings.Contains(err.Error(), "container c of pod n/p ended with exit code 1") {
		t.Errorf("stat of a missing file: %v", err)
	}
	if _, err := PlacementOf(ctx, probetest.Host{}, "n", "p", "c", missing); err == nil || !strings.Contains(err.Error(), "ended with exit code 1") {
		t.Errorf("placement of a missing file: %v", err)
	}
	if found, err := Exists(ctx, probetest.Host{}, "n", "p", "c", missing); err != nil || found {
		t.Errorf("missing file exists %t, %v", found, err)
	}
	if found, err := Exists(ctx, probetest.Host{}, "n", "p", "c", "/proc"); err != nil || !found {
		t.Errorf("/proc exists %t, %v", found, err)
	}
	if _, err := FindProcess(ctx, probetest.Host{}, "n", "p", "c", "no-such-process"); err == nil || !strings.Contains(err.Error(), "0 processes have this name, want 1") {
		t.Errorf("no process: %v", err)
	}
	if _, err := Mappings(ctx, probetest.Host{}, "n", "p", "c", 1<<30); !errors.Is(err, ErrUnreadable) {
		t.Errorf("mappings of no process: %v", err)
	}
}

func TestMemoryFileOfArguments(t *testing.T) {
	for _, test := range []struct {
		args string
		want string
	}{
		{"memcached --memory-file=/data/f -m 1", "/data/f"},
		{"memcached --memory-file /data/f", "/data/f"},
		{"memcached -e /data/f", "/data/f"},
		{"memcached -e/data/f", "/data/f"},
		{"memcached -m 64", ""},
		{"memcached -e", ""},
	} {
		if got, ok := (Process{Args: strings.Fields(test.args)}).MemoryFile(); got != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, %t", test.args, got, ok)
		}
	}
}

// TestFindInLargeFile searches a file that is read at its two ends only.
func TestFindInLargeFile(t *testing.T) {
	const size, bound = 1 << 20, 64 << 10
	text := make([]byte, size)
	for name, at := range map[string]int{"first": 100, "middle": size / 2, "last": size - 100} {
		copy(text[at:], "-marker-"+name)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, found := range map[string]bool{"first": true, "middle": false, "last": true} {
		got, err := Find(t.Context(), probetest.Host{}, "n", "p", "c", file, "-marker-"+name, bound)
		if want := (Search{Found: found, Size: size}); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	if got, err := Find(t.Context(), probetest.Host{}, "n", "p", "c", file, "-marker-middle", size/2); err != nil || got != (Search{Found: true, Whole: true}) {
		t.Errorf("a file of twice the bound: %+v, %v", got, err)
	}
}
