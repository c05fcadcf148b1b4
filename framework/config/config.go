// Package config is the configuration of one run: defaults, overridden by a
// file, overridden by the environment, overridden by flags. It is strict: what it does not understand
// is an error that names the field, the value and the remedy.
package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// Config is everything a run can be told.
type Config struct {
	Dir       string // absolute; relative paths start here
	Cluster   Cluster
	Select    Select
	Deploy    Deploy
	ReportDir string     // absolute; all reports and evidence/ go here
	WaitScale wait.Scale // of the limits of waits; the highest factor is that of the budgets of specs
	Sampling  Sampling
	Verbose   bool // print every step of a spec and every fact
	Rules
	Task
}

// Rules say what counts.
type Rules struct {
	Bench         bool     // the run measures: its specs are the benchmarks, and no others
	Baseline      string   // absolute path of the file that benchmarks are compared with; empty: none
	Qualification bool     // the report is to be signed: nothing may be left out or tried again
	Retries       int      // further attempts that a failing spec is given
	KnownFailures string   // absolute path of the file with accepted failures; empty: none
	SkipPreflight []string // names of checks that are left out
	Exclusive     *bool    // nothing else uses the cluster; nil: so it is with the lab
	Disruptive    *bool    // nodes and the driver may be out of use for a while; nil: so it is with the lab
}

// Task is what the runner tells the suite's process; users do not set it.
type Task struct {
	NotApplicable map[string]string // specs that do not run, with the reason
	Events        string            // path that events are written to
	ReportID      string            // of the run, as in its report
	LoadClient    string            // path of the program that load clients in pods run, hack/load
}

// Sample is the measured time of one sample of a load: what the user has
// given, or 2 s where benchmarks run and 1 s where nothing is measured but
// whether a limit is kept.
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

// OwnsCluster tells whether whatever is left on the cluster was left by the
// run.
func (c Config) OwnsCluster() bool {
	if c.Exclusive != nil {
		return *c.Exclusive
	}
	return c.Cluster.Provider == Lab
}

// MayDisrupt tells whether specs may put nodes and the driver out of use.
func (c Config) MayDisrupt() bool {
	if c.Disruptive != nil {
		return *c.Disruptive
	}
	return c.Cluster.Provider == Lab
}

// Cluster says where the specs run.
type Cluster struct {
	Provider   string // Lab or Existing
	Kubeconfig string // absolute; of Existing as given, of Lab filled in once it is up
	Context    string // empty: the kubeconfig's current one
	KeepLab    bool   // leave the lab running at the end

	// Of the lab, as given; what they may be is the lab's to say.
	LabKubernetes, LabMemcached, LabKernel, LabDriver string
}

// Providers of a cluster.
const (
	Lab      = "lab"      // built on this machine for the run
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
	MemcachedImage string // takes the place of every image called memcached; empty: as written
	OtherImage     string // has another release of memcached, for what becomes of the cache at an update; empty: none
}

// Sampling says how loads are measured.
type Sampling struct {
	Duration time.Duration // of one sample; 0: as Config.Sample has it
	Pairs    int           // of samples, on persistent memory and on its twin
	Clients  int           // pods, of the benchmark that has several
	Place    string        // of the clients: any, same or another node than memcached's
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

// Default is the configuration when nothing is said, with paths below dir.
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

// Validate checks what can be checked without a cluster: the combination of
// fields and the files they name.
func (c Config) Validate() error {
	var errs []error
	refuse := func(field, value, remedy string) {
		errs = append(errs, &FieldError{Field: field, Value: value, Remedy: remedy})
	}
	switch c.Cluster.Provider {
	case Existing:
		if c.Cluster.Kubeconfig == "" {
			refuse("KUBECONFIG", "", "PROVIDER=existing needs KUBECONFIG, the path of a kubeconfig file")
		} else if err := regularFile(c.Cluster.Kubeconfig); err != nil {
			refuse("KUBECONFIG", c.Cluster.Kubeconfig, reason(err)+"; give the path of one readable kubeconfig file")
		}
		if c.Cluster.KeepLab {
			refuse("KEEP_LAB", "1", "there is no lab with PROVIDER=existing; leave KEEP_LAB unset")
		}
		for _, given := range []struct{ field, value string }{
			{"LAB_KUBERNETES", c.Cluster.LabKubernetes}, {"LAB_MEMCACHED", c.Cluster.LabMemcached},
			{"LAB_KERNEL", c.Cluster.LabKernel}, {"LAB_DRIVER", c.Cluster.LabDriver},
		} {
			if given.value != "" {
				refuse(given.field, given.value, "what a cluster consists of that is there already cannot be chosen; leave it unset, or PROVIDER and KUBECONFIG")
			}
		}
	case Lab:
		if c.Cluster.Context != "" {
			refuse("KUBE_CONTEXT", c.Cluster.Context, "the lab has one context only; leave KUBE_CONTEXT unset or give PROVIDER=existing")
		}
		if c.Deploy.MemcachedImage != "" {
			refuse("MEMCACHED_IMAGE", c.Deploy.MemcachedImage, "the lab brings its own image and pulls none; leave MEMCACHED_IMAGE unset")
		}
		if c.Deploy.OtherImage != "" {
			refuse("OTHER_MEMCACHED_IMAGE", c.Deploy.OtherImage, "the lab brings its own images and pulls none; give a second version in LAB_MEMCACHED")
		}
	default:
		refuse("PROVIDER", c.Cluster.Provider, "unknown provider; give lab or existing")
	}
	errs = append(errs, c.validateRules())
	for _, d := range []struct{ field, dir string }{
		{"EPHEMERAL", c.Deploy.Ephemeral}, {"PERSISTENT", c.Deploy.Persistent},
	} {
		if info, err := os.Stat(d.dir); err != nil {
			refuse(d.field, d.dir, reason(err)+"; give a directory with a kustomization.yaml")
		} else if !info.IsDir() {
			refuse(d.field, d.dir, "not a directory; give a directory with a kustomization.yaml")
		}
	}
	if err := writableDir(c.ReportDir); err != nil {
		refuse("REPORT_DIR", c.ReportDir, reason(err)+"; give a directory that can be written")
	}
	return errors.Join(errs...)
}

// validateRules refuses files that cannot be read, and what the kind of run
// does not admit.
func (c Config) validateRules() error {
	var errs []error
	refuse := func(field, value, remedy string) {
		errs = append(errs, &FieldError{Field: field, Value: value, Remedy: remedy})
	}
	for _, file := range []struct{ field, path string }{{"KNOWN_FAILURES", c.KnownFailures}, {"BASELINE", c.Baseline}} {
		if file.path == "" {
			continue
		}
		if err := regularFile(file.path); err != nil {
			refuse(file.field, file.path, reason(err)+"; give the path of one readable file")
		}
	}
	if c.Baseline != "" && !c.Bench && !c.Qualification {
		refuse("BASELINE", c.Baseline, "this run measures nothing to compare with it; give BENCH=1 or QUALIFICATION=1, or leave it unset")
	}
	if c.Bench && c.Qualification {
		refuse("BENCH", "1", "a qualification run examines conformance; leave it unset, and give BASELINE to have the benchmarks in the qualification")
	}
	if !c.Qualification {
		return errors.Join(errs...)
	}
	const whole = "a qualification run leaves nothing out; leave it unset, or QUALIFICATION"
	for _, given := range []struct{ field, value string }{
		{"LABELS", c.Select.Labels}, {"FOCUS", c.Select.Focus}, {"SKIP_PREFLIGHT", strings.Join(c.SkipPreflight, ",")},
	} {
		if given.value != "" {
			refuse(given.field, given.value, whole)
		}
	}
	if c.Retries > 0 {
		refuse("RETRIES", strconv.Itoa(c.Retries), "a qualification run tries nothing again; leave it unset, or QUALIFICATION")
	}
	return errors.Join(errs...)
}

func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func regularFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	return nil
}

// writableDir proves by a file that is removed again that dir, or the nearest
// directory above it that exists, can be written. It leaves no trace.
func writableDir(dir string) error {
	for {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		f, err := os.CreateTemp(dir, ".writable-*")
		if err != nil {
			return err
		}
		return errors.Join(f.Close(), os.Remove(f.Name()))
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
