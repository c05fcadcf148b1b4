package upstream

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
)

// askDebian has mmdebstrap work out what it would install, in the way that the
// builds do it, so that no mirror needs to be named.
func askDebian(ctx context.Context, pin artifact.SuitePin) Release {
	r := Release{Program: pin.Package, From: "Debian's " + pin.Suite, Pinned: pin.Version}
	args := []string{"--simulate", "--verbose", "--variant=custom", "--components=main", "--include=" + pin.Package}
	for _, o := range pin.Options {
		args = append(args, "--aptopt="+o)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, pin.Suite, os.DevNull)...)
	// Wrappers that users have before the system's programs may not work.
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// It removes its temporary directory when it is interrupted.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		r.Err = fmt.Errorf("mmdebstrap: %w", lastWords(err, firstError(said.String())))
		return r
	}
	if r.Newest = wouldInstall(said.String(), pin.Package); r.Newest == "" {
		r.Err = fmt.Errorf("mmdebstrap does not say which %s it would install", pin.Package)
	}
	return r
}

// wouldInstall returns the upstream version of pkg that a simulation by
// apt-get names, as in "Inst memcached (1.6.38-1 Debian:13.1/stable [amd64])".
func wouldInstall(said, pkg string) string {
	found := regexp.MustCompile(`(?m)^Inst ` + regexp.QuoteMeta(pkg) + ` (?:\[\S+\] )?\((\S+) `).FindStringSubmatch(said)
	if found == nil {
		return ""
	}
	version := found[1]
	if _, rest, ok := strings.Cut(version, ":"); ok { // the epoch (deb-version(7))
		version = rest
	}
	if i := strings.LastIndex(version, "-"); i >= 0 {
		version = version[:i]
	}
	return version
}

// firstError returns the first line that mmdebstrap or apt-get marks as an
// error, without the mark.
func firstError(said string) string {
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(line, "E: "); ok {
			return strings.TrimSpace(text)
		}
	}
	return ""
}
