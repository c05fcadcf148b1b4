package artifact

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// QEMU is a directory with QEMU and all that it needs of a Debian release.
// QEMU 10.0 starts a process in half the time that 7.2 takes for it, when it
// emulates the processor.
type QEMU string

// Command returns a command that runs QEMU with the libraries and the firmware
// in the directory, whatever the host has of them.
func (q QEMU) Command(args ...string) *exec.Cmd {
	in := func(path string) string { return filepath.Join(string(q), path) }
	return exec.Command(in("usr/lib64/ld-linux-x86-64.so.2"), append([]string{
		"--argv0", qemuProgram, "--library-path", in("usr/lib/x86_64-linux-gnu"), in("usr/bin/" + qemuProgram),
		"-L", in("usr/share/qemu"), "-L", in("usr/share/seabios"), "-L", in("usr/lib/ipxe/qemu"),
	}, args...)...)
}

const (
	qemuProgram = "qemu-system-x86_64"
	qemuDir     = "root"
)

// qemuArtifact holds the packages unpacked and not set up: nothing of them is
// started by their scripts.
func qemuArtifact() Artifact {
	args := []string{
		"--variant=extract", "--components=main", "--format=tar", "--include=qemu-system-x86",
		"--aptopt=Apt::Install-Recommends false",
	}
	a := Artifact{Name: "qemu", Make: func(ctx context.Context, out string, log io.Writer) (err error) {
		archive, scratch := filepath.Join(out, rootTar), filepath.Join(out, scratchDir)
		if err := runMounting(ctx, out, scratch, systemPath(), log, "mmdebstrap", append(args, Suite, archive)...); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.Remove(archive)) }()
		if err := os.Mkdir(filepath.Join(out, qemuDir), 0o755); err != nil {
			return err
		}
		// Who has root only in a user namespace cannot make devices.
		unpack := "-C " + qemuDir + " --no-same-owner --exclude=./dev --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale -xpf " + rootTar
		return run(ctx, out, scratch, os.Environ(), log, "tar", strings.Fields(unpack)...)
	}}
	a.Key.Add("suite", Suite)
	a.Key.Add("arguments", args...)
	return a
}
