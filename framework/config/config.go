// Package config is the configuration of one run: defaults, overridden by a
// file, overridden by the environment, overridden by flags. It is strict: what
// it does not understand is an error that names the field, the value and the
// remedy. All settings are in one table, from which the flags, the variables,
// the keys of the file, the help and the command that repeats a run are made.
package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// Config is everything that can be set for a run.
type Config struct {
	Dir       string // absolute; relative paths start here
	Program   string // absolute path of the program, which has manifests/ next to it; empty: make runs it in a checkout
	Cluster   Cluster
	Lab       LabSettings
	Kind      KindSettings
	Select    Select
	Deploy    Deploy
	ReportDir string     // absolute; all reports and evidence/ go here
	WaitScale wait.Scale // of the limits of waits; the highest factor is that of the budgets of specs
	Parallel  int        // specs that run at the same time, from 1; 0 stands for the default, see AtOnce
	Sampling  Sampling
	Verbose   bool // print every step of a spec and every fact
	Rules
	Task
}

// Rules say what counts.
type Rules struct {
	Bench         bool     // the run measures: its specs are the benchmarks, and no others
	Baseline      string   // absolute path of the file that benchmarks are compared with; empty: none
	Qualification bool     // for a report to be signed: nothing may be left out or retried
	Retries       int      // further attempts for a failing spec
	KnownFailures string   // absolute path of the file with accepted failures; empty: none
	SkipPreflight []string // names of checks that are left out
	Exclusive     *bool    // nothing else uses the cluster; nil: true unless it is an existing one
	Disruptive    *bool    // nodes and the driver may be disrupted for a while; nil: true unless they are of an existing cluster
}

// Task is what the runner passes to the suite's process; users do not set it.
type Task struct {
	LeftOut    map[string]string // specs that do not run, with the reason
	Events     string            // path that events are written to
	ReportID   string            // of the run, as in its report
	Lane       int               // of the process, from 0, where Parallel is more than 1
	Shared     bool              // other runs use the cluster at the same time, so that only what belongs to the namespaces of this one counts as left behind
	Foreseen   []spec.ReqID      // requirements that will not be met: a spec that fails for these alone needs no evidence
	LoadClient string            // path of the program that load clients in pods run, framework/cmd/load, but for a hyphen and the architecture
}

// Sample is the measured time of one sample of a load: what the user has
// given, or 2 s where benchmarks run and 1 s where specs only check a limit.
func (c Config) Sample() time.Duration {
	switch {
	case c.Sampling.Duration != 0:
		return c.Sampling.Duration
	case c.Measures():
		return 2 * time.Second
	}
	return time.Second
}

// Measures reports whether benchmarks are among what may be selected, and
// Examines whether the other specs are.
func (c Config) Measures() bool { return c.Bench || c.Qualification && c.Baseline != "" }

// Examines is the counterpart of Measures.
func (c Config) Examines() bool { return !c.Bench }

// Admits reports whether the run can have specs that measure, or the others.
func (c Config) Admits(measures bool) bool {
	return measures && c.Measures() || !measures && c.Examines()
}

// OwnsCluster reports whether whatever is left on the cluster was left by the
// run.
func (c Config) OwnsCluster() bool {
	if c.Exclusive != nil {
		return *c.Exclusive
	}
	return c.Cluster.Provider != Existing
}

// MayDisrupt reports whether specs may disrupt nodes and the driver.
func (c Config) MayDisrupt() bool {
	if c.Disruptive != nil {
		return *c.Disruptive
	}
	return c.Cluster.Provider != Existing
}

// labParallel is how many specs run at the same time on a lab by default. On two processors
// that emulate those of the node, two keep these busy for three quarters of the time, and three for nine tenths.
const labParallel = 3

// AtOnce returns how many specs run at the same time, on a cluster of which each node has that many MiB of persistent
// memory. On a cluster that is not the suite's own one runs after the other unless PARALLEL is set.
func (c Config) AtOnce(pmem int) int {
	switch {
	case c.Parallel > 0:
		return c.Parallel
	case onLab(c):
		return max(min(labParallel, pmem/LanePMEM), 1)
	}
	return 1
}

// LanePMEM is the persistent memory of a node that specs next to each other need, each
// of them, in MiB.
const LanePMEM = 1024

// Cluster says where the specs run.
type Cluster struct {
	Provider   string // Lab, Kind or Existing
	Why        string // this provider, and which kubeconfig is not used
	Kubeconfig string // absolute paths, separated by colons; those of Lab and Kind are filled in once they are up
	Context    string // empty: the kubeconfig's current one
	KeepLab    bool   // leave the lab up at the end
}

// LabSettings are those of the lab. A zero value stands for the lab's default.
type LabSettings struct {
	Name       string
	Nodes      int
	PMEM       int // MiB of each node
	Port       int // of the API server
	Accel      string
	Kubernetes string // versions and the driver's mode as given; the lab knows which there are
	Memcached  string
	Kernel     string
	Driver     string
	Snapshot   bool
	CacheDir   string // absolute
	Images     string // absolute paths of archives, with colons between them
}

// KindSettings are those of a kind cluster. A zero value stands for the default.
type KindSettings struct {
	Name      string
	PMEM      string // region whose namespace may be converted
	Engine    string
	NodeImage string
	Images    string // absolute paths, separated by colons
	Keep      bool   // leave the cluster up at the end
}

// ClusterName is the name of the cluster.
func (k KindSettings) ClusterName() string { return cmp.Or(k.Name, KindName) }

// KindName is the name of the kind cluster if none is given.
const KindName = "pmem-memcached-e2e"

// Providers of a cluster.
const (
	Lab      = "lab"      // built on this machine for the run
	Kind     = "kind"     // made for the run of containers, with the persistent memory of this machine
	Existing = "existing" // reached by a kubeconfig
)

// Select says which specs run.
type Select struct {
	Labels string // Ginkgo label filter; empty: all
	Focus  string // regular expression on "ID title"; empty: all
	Seed   int64  // order of the specs; 0: a new one for each run
}

// Deploy says what is examined.
type Deploy struct {
	Ephemeral      string // absolute directory of a kustomization
	Persistent     string // absolute directory of a kustomization
	MemcachedImage string // replaces every image named memcached; empty: as written
	OtherImage     string // has another release of memcached, for updates; empty: none
	LoadRestrictor string // of kustomize: LoadRootOnly, LoadNone, or empty for LoadRootOnly
}

// Values of Deploy.LoadRestrictor, as kubectl kustomize --load-restrictor takes them.
const (
	LoadRootOnly = "LoadRestrictionsRootOnly"
	LoadNone     = "LoadRestrictionsNone"
)

// LoadsAnyFile reports whether a kustomization may load files from outside of
// its directory.
func (d Deploy) LoadsAnyFile() bool { return d.LoadRestrictor == LoadNone }

// Sampling says how loads are measured.
type Sampling struct {
	Duration time.Duration // of one sample; 0: the default of Config.Sample
	Pairs    int           // of samples, on persistent memory and on its control
	Clients  int           // pods, in the benchmark that has several
	Place    string        // of the clients, relative to memcached's node: any, same or another
}

// FieldError is a value that was refused.
type FieldError struct {
	Field  string // name of the environment variable or flag
	Value  string
	Remedy string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s=%q: %s", e.Field, e.Value, e.Remedy)
}

// Default is the configuration when nothing is given, with paths below dir.
func Default(dir string) Config {
	return Config{
		Dir: dir,
		Deploy: Deploy{
			Ephemeral:  filepath.Join(dir, "manifests", "ephemeral"),
			Persistent: filepath.Join(dir, "manifests", "persistent"),
		},
		ReportDir: filepath.Join(dir, "report"),
		Sampling:  Sampling{Pairs: 6, Clients: 4, Place: "any"},
	}
}

// WriteFile stores c for the suite's process. The file is readable by its
// owner alone.
func (c Config) WriteFile(path string) error {
	data, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("store configuration: %w", err)
	}
	return nil
}

// ReadFile loads what WriteFile stored. A field it does not know is an error.
func ReadFile(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	var c Config
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("read configuration %s: more than one value in the file", path)
	}
	return c, nil
}
