package artifact

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// QEMU is a directory with QEMU and all that it needs of a Debian release.
// QEMU 10.0 starts a process in half the time that 7.2 takes for it, when it
// emulates the processor.
type QEMU string

// Command returns a command that runs QEMU with the libraries and the firmware
// in the directory, whatever the host has of them.
func (q QEMU) Command(args ...string) *exec.Cmd {
	in := func(path string) string { return filepath.Join(string(q), path) }
	cmd := exec.Command(in("usr/lib64/ld-linux-x86-64.so.2"), append([]string{
		"--argv0", qemuProgram, "--library-path", in("usr/lib/x86_64-linux-gnu"), in("usr/bin/" + qemuProgram),
		"-L", in("usr/share/qemu"), "-L", in("usr/share/seabios"), "-L", in("usr/lib/ipxe/qemu"),
	}, args...)...)
	cmd.Env = []string{hugePages}
	return cmd
}

// hugePages has the C library allocate QEMU's memory in huge pages where the kernel has
// them for who asks. The table of translated code has some 30 MiB and is read at
// random places.
const hugePages = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"

const (
	qemuProgram = "qemu-system-x86_64"
	qemuDir     = "root"
)

// qemuRoot has the packages unpacked and not set up: nothing of them is started
// by their scripts.
var qemuRoot = RootFS{Name: "qemu", Suite: Suite, Variant: "extract", Packages: []string{"qemu-system-x86"}}

// qemuArtifact holds the directory that a QEMU is.
func qemuArtifact() Artifact {
	a := qemuRoot.artifact()
	a.Make = func(ctx context.Context, out string, log io.Writer) error {
		if err := qemuRoot.make(ctx, out, log); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(out, qemuDir), 0o755); err != nil {
			return err
		}
		// Who has root only in a user namespace cannot make devices.
		unpack := []string{"-C", qemuDir, "--no-same-owner", "--exclude=./dev"}
		for _, dir := range []string{"doc", "locale", "man"} { // mmdebstrap leaves them in this variant
			unpack = append(unpack, "--exclude=./usr/share/"+dir)
		}
		if err := run(ctx, out, filepath.Join(out, scratchDir), os.Environ(), log, "tar", append(unpack, "-xpf", rootTar)...); err != nil {
			return err
		}
		return os.Remove(filepath.Join(out, rootTar))
	}
	a.Key.Add("unpacked", qemuDir, "without documentation")
	return a
}
