// Package lab runs a Kubernetes cluster with persistent memory on a machine
// that has none: the control plane as processes of this host, the node in a
// virtual machine whose memory the kernel presents as persistent memory, and
// PMEM-CSI on it. All of it lives in one network namespace without a way out.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/wait"
)

// Options say where a lab lives and how patient it is.
type Options struct {
	// Name tells several labs of one machine apart; empty means "default".
	Name string
	// CacheDir keeps what was built, for all labs; empty means a directory
	// of this project below the user's cache directory.
	CacheDir string
	// SourceDir is the checkout whose hack/ directory pins the programs;
	// empty means the one that the working directory is in.
	SourceDir string
	// Port is where the API server is reached on 127.0.0.1; 0 means any.
	Port int
	// Versions are those of a lab that is not up yet. Of what they do not
	// choose the lab gets the default.
	Versions artifact.Versions
	// Progress gets a line for each phase.
	Progress io.Writer
	// Waiter scales the limits of all waits.
	Waiter wait.Waiter
}

// Environment returns the options that the variables LAB_NAME, LAB_PORT,
// LAB_KUBERNETES, LAB_MEMCACHED and CACHE_DIR give.
func Environment(getenv func(string) string) (Options, error) {
	opts := Options{Name: getenv("LAB_NAME"), CacheDir: getenv("CACHE_DIR")}
	if port := getenv("LAB_PORT"); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil {
			return opts, fmt.Errorf("LAB_PORT=%q: give a port number, or leave it unset for any", port)
		}
		opts.Port = n
	}
	var err error
	opts.Versions, err = artifact.ParseVersions(getenv("LAB_KUBERNETES"), getenv("LAB_MEMCACHED"))
	return opts, err
}

// Lab is a cluster that may or may not be up.
type Lab struct {
	opts     Options
	dir      string
	progress io.Writer
	wait     wait.Waiter
	parts    *artifact.Parts
	accel    string
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$`)

// New returns the lab that opts name. It changes nothing.
func New(opts Options) (*Lab, error) {
	if opts.Name == "" {
		opts.Name = "default"
	}
	if !nameForm.MatchString(opts.Name) {
		return nil, fmt.Errorf("lab name %q: want at most 12 lower case letters, digits and hyphens (LAB_NAME)", opts.Name)
	}
	if opts.Port < 0 || opts.Port > 65535 {
		return nil, fmt.Errorf("lab port %d: want 0 for any, or 1 to 65535 (LAB_PORT)", opts.Port)
	}
	if opts.CacheDir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no cache directory: %w; name one with CACHE_DIR", err)
		}
		opts.CacheDir = filepath.Join(base, "pmem-memcached-e2e")
	}
	cacheDir, err := filepath.Abs(opts.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("cache directory %s: %w", opts.CacheDir, err)
	}
	opts.CacheDir = cacheDir
	if opts.SourceDir == "" {
		if opts.SourceDir, err = checkout(); err != nil {
			return nil, err
		}
	}
	if opts.Progress == nil {
		opts.Progress = io.Discard
	}
	return &Lab{
		opts:     opts,
		dir:      filepath.Join(stateDir(), opts.Name),
		progress: opts.Progress,
		wait:     opts.Waiter,
	}, nil
}

// stateDir does not depend on the options, so that a lab is found again
// whatever cache it was started from.
func stateDir() string {
	if os.Getuid() == 0 {
		return "/run/pmem-memcached-e2e"
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("pmem-memcached-e2e-%d", os.Getuid()))
}

// checkout returns the directory of the go.mod file above the working
// directory.
func checkout() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not in a checkout of this project, whose hack/ directory the lab is built from", wd)
		}
	}
}

// Kubeconfig returns the path of the administrator's kubeconfig, which exists
// while the lab is up.
func (l *Lab) Kubeconfig() string { return l.path("kubeconfig") }

// Kubectl returns the path of the Kubernetes executable, which acts as kubectl
// when it is started by that name.
func (l *Lab) Kubectl(ctx context.Context) (path string, err error) {
	err = l.withParts(ctx, func(parts *artifact.Parts, _ artifact.Versions) error {
		path = parts.Kubernetes
		return nil
	})
	return path, err
}

// SaveLogs copies the output of the lab's programs, the node's console
// included, to dir.
func (l *Lab) SaveLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.CopyFS(dir, os.DirFS(l.path("logs")))
}

func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.dir}, elem...)...)
}

// phase is a step of bringing the lab up.
type phase struct {
	name string
	do   func(context.Context) error
	// hint tells what to look at when the phase fails.
	hint string
}

// Up brings the lab up and returns when PMEM-CSI offers the node's persistent
// memory. A lab that is up is left as it is. If Up fails or is interrupted,
// what it started is removed again, but for what it built.
func (l *Lab) Up(ctx context.Context) (err error) {
	if err := l.Check(); err != nil {
		return err
	}
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if s := l.inspect(); s.up() {
		fmt.Fprintf(l.progress, "lab %s is up\n", l.opts.Name)
		return nil
	} else if s.present() {
		fmt.Fprintf(l.progress, "lab %s: removing what an earlier, unfinished run left\n", l.opts.Name)
		if err := l.remove(); err != nil {
			return err
		}
	}
	start := time.Now()
	for _, p := range []phase{
		{"parts", l.makeParts, "the builds need Go's module proxy and Debian's packages; finished parts are kept, so just try again"},
		{"accelerator", l.chooseAccelerator, "set LAB_ACCEL=tcg to do without KVM"},
		{"network", l.makeNetwork, "the lab needs network namespaces, bridges and /dev/net/tun"},
		{"keys", l.makeKeys, "the state directory must be writable and have a few MiB"},
		{"node start", l.startNode, "QEMU's own words are in logs/node.log"},
		{"control plane", l.startControlPlane, "see logs/kube-apiserver.log and its neighbours"},
		{"addons", l.applyAddons, "see logs/kube-apiserver.log"},
		{"node ready", l.awaitNode, "the node's console is logs/console.log"},
		{"pmem-csi", l.awaitDriver, "look at the pods of namespace pmem-csi, and at the node's console in logs/console.log"},
	} {
		began := time.Now()
		if err := p.do(ctx); err != nil {
			return l.rollBack(ctx, p, err)
		}
		fmt.Fprintf(l.progress, "lab %-14s %5.1fs\n", p.name, time.Since(began).Seconds())
	}
	if err := os.WriteFile(l.path(readyMark), nil, 0o600); err != nil {
		return errors.Join(err, l.remove())
	}
	fmt.Fprintf(l.progress, "lab %-14s %5.1fs  KUBECONFIG=%s\n", "up", time.Since(start).Seconds(), l.Kubeconfig())
	return nil
}

func (l *Lab) rollBack(ctx context.Context, p phase, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
		return errors.Join(fmt.Errorf("lab phase %q was interrupted: %w", p.name, err), l.remove())
	}
	logs := filepath.Join(os.TempDir(), "pmem-lab-"+l.opts.Name+"-failed")
	if errors.Is(err, ErrHost) {
		return errors.Join(fmt.Errorf("lab phase %q: %w", p.name, err), l.remove())
	}
	err = fmt.Errorf("lab phase %q: %w\nhint: %s", p.name, err, p.hint)
	if _, statErr := os.Stat(l.path("logs")); statErr == nil {
		if saveErr := errors.Join(os.RemoveAll(logs), l.SaveLogs(logs)); saveErr == nil {
			err = fmt.Errorf("%w\nlogs of the failed lab are kept in %s", err, logs)
		}
	}
	return errors.Join(err, l.remove())
}

// Down removes the lab: processes, namespace, keys, disks. What was built
// stays in the cache. Down of a lab that is not there does nothing.
func (l *Lab) Down(context.Context) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if !l.inspect().present() {
		fmt.Fprintf(l.progress, "lab %s is not there\n", l.opts.Name)
		return nil
	}
	start := time.Now()
	if err := l.remove(); err != nil {
		return err
	}
	fmt.Fprintf(l.progress, "lab %-14s %5.1fs\n", "down", time.Since(start).Seconds())
	return nil
}

// remove ends and deletes everything that carries the lab's name.
func (l *Lab) remove() error {
	return errors.Join(
		l.killAll(),
		l.removeNetwork(),
		os.RemoveAll(l.dir),
	)
}
