package artifact

import (
	"context"
	"io"
	"path/filepath"
	"strings"
)

// Suite is the Debian release of the node and of the images.
const Suite = "trixie"

// RootFS is a Debian root filesystem.
type RootFS struct {
	// Name names it in the store.
	Name string
	// Packages are installed with what they depend on.
	Packages []string
	// Early are shell commands that run before the packages are installed,
	// Late ones that run afterwards; $1 is the root directory.
	Early, Late []string
}

// rootTar is the file of the artifact that holds the root filesystem.
const rootTar = "root.tar"

func (r RootFS) artifact() Artifact {
	a := Artifact{Name: r.Name, Make: func(ctx context.Context, out string, log io.Writer) error {
		args := []string{
			"--variant=apt", "--components=main", "--format=tar",
			"--include=" + strings.Join(r.Packages, ","),
			"--aptopt=Apt::Install-Recommends false",
			"--dpkgopt=path-exclude=/usr/share/man/*",
			"--dpkgopt=path-exclude=/usr/share/doc/*",
			"--dpkgopt=path-exclude=/usr/share/locale/*",
			"--dpkgopt=path-exclude=/usr/share/info/*",
		}
		for _, h := range r.Early {
			args = append(args, "--essential-hook="+h)
		}
		for _, h := range r.Late {
			args = append(args, "--customize-hook="+h)
		}
		for _, dir := range []string{"var/lib/apt/lists", "var/cache/apt", "usr/share/locale"} {
			args = append(args, `--customize-hook=rm -rf "$1"/`+dir+`/*`)
		}
		return run(ctx, out, nil, log, "mmdebstrap", append(args, Suite, filepath.Join(out, rootTar))...)
	}}
	a.Key.Add("suite", Suite)
	a.Key.Add("packages", r.Packages...)
	a.Key.Add("early", r.Early...)
	a.Key.Add("late", r.Late...)
	return a
}
