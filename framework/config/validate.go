package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

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
		} else {
			errs = append(errs, c.kubeconfigs())
		}
		if c.Cluster.KeepLab {
			refuse("KEEP_LAB", "1", "there is no lab with PROVIDER=existing; leave KEEP_LAB unset")
		}
		for _, s := range settings {
			if given := s.value.get(c); s.builds && given != "" {
				refuse(s.Variable, given, "the components of an existing cluster cannot be chosen; leave it unset, or PROVIDER and KUBECONFIG")
			}
		}
	case Lab:
		if c.Cluster.Context != "" {
			refuse("KUBE_CONTEXT", c.Cluster.Context, "the lab has one context only; leave KUBE_CONTEXT unset or give PROVIDER=existing")
		}
		if c.Deploy.MemcachedImage != "" && c.Lab.Images == "" {
			refuse("MEMCACHED_IMAGE", c.Deploy.MemcachedImage, "the lab brings its own image and pulls none; leave MEMCACHED_IMAGE unset, or give an archive with the image in LAB_IMAGES")
		}
		if c.Deploy.OtherImage != "" && c.Lab.Images == "" {
			refuse("OTHER_MEMCACHED_IMAGE", c.Deploy.OtherImage, "the lab brings its own images and pulls none; give a second version in LAB_MEMCACHED, or an archive with the image in LAB_IMAGES")
		}
	case Kind:
		errs = append(errs, c.validateKind())
	default:
		refuse("PROVIDER", c.Cluster.Provider, "unknown provider; give lab, kind or existing")
	}
	if c.Cluster.Provider != Kind {
		for _, s := range settings {
			if given := s.value.get(c); s.Group == KindGroup && given != s.value.get(Config{}) {
				refuse(s.Variable, given, "it is for a kind cluster only; leave it unset, or give PROVIDER=kind")
			}
		}
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
// does not allow.
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
		refuse("RETRIES", strconv.Itoa(c.Retries), "a qualification run retries nothing; leave it unset, or QUALIFICATION")
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
