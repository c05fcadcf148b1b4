package artifact

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Suite is the Debian release of the node, and of images that choose no other.
const Suite = "trixie"

// RootFS is a Debian root filesystem.
type RootFS struct {
	// Name names it in the store.
	Name string
	// Suite is the Debian release.
	Suite string
	// Variant is that of mmdebstrap; empty for "apt".
	Variant string
	// Options are further ones of apt.
	Options []string
	// Packages are installed with what they depend on.
	Packages []string
	// Early are shell commands that run before the packages are installed,
	// Late ones that run afterwards; $1 is the root directory.
	Early, Late []string
}

// rootTar is the file of the artifact that holds the root filesystem.
const rootTar = "root.tar"

func (r RootFS) artifact() Artifact {
	a := Artifact{Name: r.Name, Make: r.make}
	a.Key.Add("suite", r.Suite)
	a.Key.Add("arguments", r.arguments()...)
	return a
}

// make writes the file rootTar.
func (r RootFS) make(ctx context.Context, out string, log io.Writer) error {
	return runMounting(ctx, out, filepath.Join(out, scratchDir), systemPath(), log, "mmdebstrap", append(r.arguments(), r.Suite, filepath.Join(out, rootTar))...)
}

func (r RootFS) arguments() []string {
	args := []string{
		"--variant=" + cmp.Or(r.Variant, "apt"), "--components=main", "--format=tar",
		"--include=" + strings.Join(r.Packages, ","),
		"--aptopt=Apt::Install-Recommends false",
	}
	for _, o := range r.Options {
		args = append(args, "--aptopt="+o)
	}
	for _, h := range r.Early {
		args = append(args, "--essential-hook="+h)
	}
	for _, h := range r.Late {
		args = append(args, "--customize-hook="+h)
	}
	// Removed afterwards: dpkg's own exclusion would run each package through
	// a filter, which takes longer than the rest.
	for _, dir := range []string{"var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"} {
		args = append(args, `--customize-hook=rm -rf "$1"/`+dir+`/*`)
	}
	return args
}

// systemPath is the environment with nothing but the system's own programs in
// PATH: wrappers that users have there may not work in the new root.
func systemPath() []string {
	return append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
}
