package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
)

// kindNames are those that kind makes names of containers of.
var kindNames = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,49}$`)

// validateKind refuses what a kind cluster cannot have.
func (c Config) validateKind() error {
	var errs []error
	refuse := func(field, value, remedy string) {
		errs = append(errs, &FieldError{Field: field, Value: value, Remedy: remedy})
	}
	if c.Cluster.Context != "" {
		refuse("KUBE_CONTEXT", c.Cluster.Context, "a kind cluster has one context only; leave KUBE_CONTEXT unset or give PROVIDER=existing")
	}
	if c.Cluster.KeepLab {
		refuse("KEEP_LAB", "1", "there is no lab with PROVIDER=kind; give KEEP_CLUSTER=1 to keep the cluster")
	}
	for _, s := range settings {
		if given := s.value.get(c); s.builds && given != "" {
			refuse(s.Variable, given, "it is for the lab; leave it unset, and choose Kubernetes by KIND_NODE_IMAGE and memcached by MEMCACHED_IMAGE or KIND_IMAGES")
		}
	}
	if name := c.Kind.ClusterName(); !kindNames.MatchString(name) {
		refuse("KIND_NAME", name, "give up to 50 lower case letters, digits, dots and hyphens")
	}
	for _, path := range filepath.SplitList(c.Kind.Images) {
		if info, err := os.Stat(path); err != nil {
			refuse("KIND_IMAGES", path, reason(err)+"; give archives as docker save writes them, or a directory of them")
		} else if err := regularFile(path); err != nil && !info.IsDir() {
			refuse("KIND_IMAGES", path, reason(err)+"; give archives as docker save writes them, or a directory of them")
		}
	}
	return errors.Join(errs...)
}
