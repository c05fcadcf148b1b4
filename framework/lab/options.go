package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/images"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/host"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/process"
	"pmem-memcached-e2e/framework/lab/readiness"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/progress"
	"pmem-memcached-e2e/framework/wait"
)

// Options say where a lab lives, how large it is and how patient.
type Options struct {
	// Name distinguishes the labs of one machine; empty means "default".
	Name string
	// Machines are its nodes.
	Machines Machines
	// CacheDir keeps what was built, for all labs; empty means a directory
	// of this project below the user's cache directory.
	CacheDir string
	// SourceDir is the checkout whose hack/ directory pins the programs, which
	// are built from it; empty means the one that the working directory is in.
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
	Driver pmemcsi.Mode
	// Images are paths of archives of container images, which every node gets.
	Images []string
	// Progress gets a line for each phase; nil means that nothing does.
	Progress progress.Writer
	// Waiter scales the limits of all waits.
	Waiter wait.Waiter
}

// Machines says how many nodes a lab has and what each of them is.
type Machines struct {
	// Nodes is the number of nodes; 0 means as many as the lab has if it is
	// up, and otherwise 2, or 1 on a host that is too small for 2.
	Nodes int
	// PMEM is the persistent memory of each node in MiB; 0 means as much as
	// the lab has if it is up, and otherwise 3072, or 2048 on a host that is too small for that.
	PMEM int
	// Accel is kvm or tcg, how nodes run; empty or auto means KVM where it
	// works.
	Accel string
}

// Bounds and defaults of what a lab consists of.
const (
	maxNodes     = topology.MaxNodes
	defaultNodes = 2 // 1 on a host that does not have the memory or the processors for them
	// A node keeps a processor busy while it boots, and half of one later, if that is emulated.
	defaultProcessors = 4

	// In MiB.
	minPMEM     = config.MinLabPMEM
	maxPMEM     = config.MaxLabPMEM
	pmemStep    = config.LabPMEMStep
	defaultPMEM = config.DefaultLabPMEM
)

// Configured returns the options that a user's settings give.
func Configured(c config.LabSettings) (Options, error) {
	opts := Options{Name: c.Name, Machines: Machines{Nodes: c.Nodes, PMEM: c.PMEM, Accel: c.Accel}, Port: c.Port, Snapshot: c.Snapshot, CacheDir: c.CacheDir, Images: filepath.SplitList(c.Images)}
	var unknown, noDriver error
	opts.Versions, unknown = artifact.ParseVersions(c.Kubernetes, c.Memcached, c.Kernel)
	opts.Driver, noDriver = pmemcsi.ParseMode(c.Driver)
	return opts, errors.Join(unknown, noDriver)
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$`)

func (o Options) validate() error {
	switch {
	case !nameForm.MatchString(o.Name):
		return fmt.Errorf("lab name %q: want at most 12 lower case letters, digits and hyphens (LAB_NAME)", o.Name)
	case o.Machines.Nodes < 0 || o.Machines.Nodes > maxNodes:
		return fmt.Errorf("lab of %d nodes: want 1 to %d, or 0 for the default (LAB_NODES)", o.Machines.Nodes, maxNodes)
	case o.Machines.PMEM != 0 && (o.Machines.PMEM < minPMEM || o.Machines.PMEM > maxPMEM || o.Machines.PMEM%pmemStep != 0):
		return fmt.Errorf("lab with %d MiB of persistent memory on a node: want a multiple of %d from %d to %d, or 0 for the default (LAB_PMEM)", o.Machines.PMEM, pmemStep, minPMEM, maxPMEM)
	case o.Driver != "" && !slices.Contains(pmemcsi.Modes, o.Driver):
		return fmt.Errorf("mode %q of the driver: want one of %s (LAB_DRIVER)", o.Driver, pmemcsi.Modes)
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("lab port %d: want 0 for any, or 1 to 65535 (LAB_PORT)", o.Port)
	}
	return nil
}

// Lab is a cluster that may or may not be up.
type Lab struct {
	opts     Options
	dir      state.Dir
	memory   string // directory for its nodes' persistent memory
	progress progress.Writer
	wait     wait.Waiter
	waits    *wait.Open
	programs *process.Group
	state    *state.File
	archives []images.Archive
	guard    *os.File // this process's end of the pipe to the guard; nil: there is none
}

// sharedMemory is the host's file system in memory.
const sharedMemory = "/dev/shm"

// New returns the lab that opts name. It changes nothing.
func New(opts Options) (*Lab, error) {
	if opts.Name == "" {
		opts.Name = "default"
	}
	if err := opts.validate(); err != nil {
		return nil, err
	}
	archives, err := opts.readArchives()
	if err != nil {
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
		opts.SourceDir = checkout()
	}
	if opts.Progress == nil {
		opts.Progress = progress.Lines(io.Discard)
	}
	l := &Lab{
		opts:     opts,
		dir:      state.Dir(filepath.Join(host.StateDir(), opts.Name)),
		progress: opts.Progress,
		waits:    &wait.Open{},
		archives: archives,
	}
	l.wait = l.waits.Watch(opts.Waiter)
	l.memory = filepath.Join(sharedMemory, host.OwnName(opts.Name))
	l.programs, l.state = process.Of(l.dir, opts.Waiter.Scale), state.Of(l.dir)
	return l, host.CheckOwner(host.StateDir())
}

// checkout returns the directory of the go.mod file above the working
// directory, empty if there is none.
func checkout() string {
	wd, err := os.Getwd()
	if err != nil {
		return ""
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// BecomeRoot runs this program again as root of a user namespace, unless it is
// root already, and does not return then. A program calls it before all else
// that it does with the lab. The error wraps ErrHost.
func (l *Lab) BecomeRoot() error { return host.BecomeRoot(l.programs) }

// machines are the virtual machines of a lab with that plan.
func (l *Lab) machines(p state.Plan, main vm.MainMemory) []vm.Machine {
	var machines []vm.Machine
	for _, n := range p.All() {
		machines = append(machines, vm.Machine{Node: n, Plan: p, Main: main, Dir: l.dir, Programs: l.programs, Waiter: l.wait})
	}
	return machines
}

// checker asks the lab's API server about its nodes.
func (l *Lab) checker() (readiness.Checker, error) {
	client, err := plane.Client(l.dir)
	return readiness.Checker{Client: client, Waiter: l.wait, Progress: l.progress}, err
}
