package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/wait"
)

// Options say where a lab lives, how large it is and how patient.
type Options struct {
	// Name tells several labs of one machine apart; empty means "default".
	Name string
	// Nodes is the number of nodes; 0 means as many as the lab has if it is
	// up, and otherwise 1.
	Nodes int
	// PMEM is the persistent memory of each node in MiB; 0 means as much as
	// the lab has if it is up, and otherwise 2048.
	PMEM int
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
	// Snapshot has the lab start from a snapshot of one that had come up,
	// which is taken first if there is none.
	Snapshot bool
	// Driver is the mode of PMEM-CSI; empty means that which the lab has if
	// it is up, and otherwise LVM.
	Driver Driver
	// Progress gets a line for each phase.
	Progress io.Writer
	// Waiter scales the limits of all waits.
	Waiter wait.Waiter
}

// Bounds and defaults of what a lab consists of.
const (
	maxNodes     = 4
	defaultNodes = 2 // 1 on a host that does not bear them
	// A node keeps a processor busy while it boots, and half of one later, if that is emulated.
	defaultProcessors = 4

	// In MiB. The kernel takes memory in sections of 128 MiB.
	minPMEM     = 512
	maxPMEM     = 32768
	pmemStep    = 128
	defaultPMEM = 2048
)

// Environment returns the options that the variables LAB_NAME, LAB_NODES,
// LAB_PMEM, LAB_PORT, LAB_KUBERNETES, LAB_MEMCACHED, LAB_KERNEL, LAB_DRIVER,
// LAB_SNAPSHOT and CACHE_DIR give.
func Environment(getenv func(string) string) (Options, error) {
	opts := Options{Name: getenv("LAB_NAME"), CacheDir: getenv("CACHE_DIR")}
	var unknown, noDriver error
	opts.Versions, unknown = artifact.ParseVersions(getenv("LAB_KUBERNETES"), getenv("LAB_MEMCACHED"), getenv("LAB_KERNEL"))
	opts.Driver, noDriver = ParseDriver(getenv("LAB_DRIVER"))
	return opts, errors.Join(unknown, noDriver,
		number(getenv, "LAB_NODES", 1, maxNodes, 1, fmt.Sprintf("give 1 to %d nodes, or leave it unset for %d, or 1 where memory or processors are short", maxNodes, defaultNodes), &opts.Nodes),
		number(getenv, "LAB_PMEM", minPMEM, maxPMEM, pmemStep, fmt.Sprintf("give the persistent memory of a node in MiB, a multiple of %d from %d to %d, or leave it unset for %d", pmemStep, minPMEM, maxPMEM, defaultPMEM), &opts.PMEM),
		number(getenv, "LAB_PORT", 0, 65535, 1, "give a port number, or leave it unset for any", &opts.Port),
		yesOrNo(getenv, "LAB_SNAPSHOT", &opts.Snapshot),
	)
}

// yesOrNo reads a variable that may be unset.
func yesOrNo(getenv func(string) string, name string, to *bool) error {
	text := getenv(name)
	if text == "" {
		return nil
	}
	is, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("%s=%q: give 1 or 0, or leave it unset for 0", name, text)
	}
	*to = is
	return nil
}

// number reads a variable that may be unset.
func number(getenv func(string) string, name string, low, high, step int, remedy string, to *int) error {
	text := getenv(name)
	if text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high || n%step != 0 {
		return fmt.Errorf("%s=%q: %s", name, text, remedy)
	}
	*to = n
	return nil
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$`)

func (o Options) validate() error {
	switch {
	case !nameForm.MatchString(o.Name):
		return fmt.Errorf("lab name %q: want at most 12 lower case letters, digits and hyphens (LAB_NAME)", o.Name)
	case o.Nodes < 0 || o.Nodes > maxNodes:
		return fmt.Errorf("lab of %d nodes: want 1 to %d, or 0 for the default (LAB_NODES)", o.Nodes, maxNodes)
	case o.PMEM != 0 && (o.PMEM < minPMEM || o.PMEM > maxPMEM || o.PMEM%pmemStep != 0):
		return fmt.Errorf("lab with %d MiB of persistent memory on a node: want a multiple of %d from %d to %d, or 0 for the default (LAB_PMEM)", o.PMEM, pmemStep, minPMEM, maxPMEM)
	case o.Driver != "" && !slices.Contains(Drivers, o.Driver):
		return fmt.Errorf("mode %q of the driver: want one of %s (LAB_DRIVER)", o.Driver, Drivers)
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("lab port %d: want 0 for any, or 1 to 65535 (LAB_PORT)", o.Port)
	}
	return nil
}

// Lab is a cluster that may or may not be up.
type Lab struct {
	opts     Options
	dir      string
	memory   string // directory for its nodes' persistent memory
	progress io.Writer
	wait     wait.Waiter
	waits    *waits
	parts    *artifact.Parts
	plan     plan
	main     mainMemory
	network  *os.File // its namespace while this command brings it up
}

// New returns the lab that opts name. It changes nothing.
func New(opts Options) (*Lab, error) {
	if opts.Name == "" {
		opts.Name = "default"
	}
	if err := opts.validate(); err != nil {
		return nil, err
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
	l := &Lab{
		opts:     opts,
		dir:      filepath.Join(stateDir(), opts.Name),
		progress: opts.Progress,
		waits:    &waits{},
	}
	l.wait = l.waits.watch(opts.Waiter)
	l.memory = filepath.Join(sharedMemory, l.ownName())
	return l, checkOwner(stateDir())
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
