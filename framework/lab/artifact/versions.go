package artifact

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Versions choose between the releases that a lab can be made of. What is
// empty is not chosen.
type Versions struct {
	// Kubernetes is a release such as "v1.37.2".
	Kubernetes string `json:"kubernetes"`
	// Memcached are releases such as "1.6.38". All of them are images of the
	// node; the first is the one to examine.
	Memcached []string `json:"memcached"`
	// Kernel is the node's, such as "6.12"; the rest of its root filesystem is
	// of the same release of Debian.
	Kernel string `json:"kernel"`
}

// DefaultVersions are those of a lab about which nothing is said.
func DefaultVersions() Versions {
	// The second memcached is for the specs of an update.
	memcached := []string{memcachedReleases[0].MemcachedVersion, memcachedReleases[1].MemcachedVersion}
	return Versions{Kubernetes: kubernetesReleases[0].Version, Memcached: memcached, Kernel: kernelReleases[0].Version}
}

// ParseVersions returns what the variables LAB_KUBERNETES, LAB_MEMCACHED and
// LAB_KERNEL choose.
func ParseVersions(kubernetes, memcached, kernel string) (Versions, error) {
	var v Versions
	var errs []error
	if kubernetes != "" {
		i := slices.IndexFunc(kubernetesReleases, func(r kubernetesRelease) bool { return r.is(kubernetes) })
		if i < 0 {
			errs = append(errs, fmt.Errorf("LAB_KUBERNETES=%q: there is no such Kubernetes; give one of %s", kubernetes, kubernetesChoice()))
		} else {
			v.Kubernetes = kubernetesReleases[i].Version
		}
	}
	if memcached != "" {
		var err error
		if v.Memcached, err = parseMemcached(memcached); err != nil {
			errs = append(errs, fmt.Errorf("LAB_MEMCACHED=%q: %w", memcached, err))
		}
	}
	if kernel != "" {
		i := slices.IndexFunc(kernelReleases, func(r kernelRelease) bool { return r.is(kernel) })
		if i < 0 {
			errs = append(errs, fmt.Errorf("LAB_KERNEL=%q: there is no such kernel; give one of %s", kernel, kernelChoice()))
		} else {
			v.Kernel = kernelReleases[i].Version
		}
	}
	return v, errors.Join(errs...)
}

func parseMemcached(list string) ([]string, error) {
	var versions []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(memcachedReleases, func(r memcachedRelease) bool { return r.is(name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no memcached %q; give one of %s, or several with commas between them, the one to examine first", name, memcachedChoice())
		}
		version := memcachedReleases[i].MemcachedVersion
		if slices.Contains(versions, version) {
			return nil, fmt.Errorf("memcached %s is there twice; name it once", version)
		}
		versions = append(versions, version)
	}
	return versions, nil
}

// Or returns v with what it does not choose taken from other.
func (v Versions) Or(other Versions) Versions {
	if v.Kubernetes == "" {
		v.Kubernetes = other.Kubernetes
	}
	if v.Memcached == nil {
		v.Memcached = other.Memcached
	}
	if v.Kernel == "" {
		v.Kernel = other.Kernel
	}
	return v
}

// Has reports whether a lab with v has all that wanted chooses.
func (v Versions) Has(wanted Versions) bool {
	return (wanted.Kubernetes == "" || v.Kubernetes == wanted.Kubernetes) &&
		(wanted.Kernel == "" || v.Kernel == wanted.Kernel) &&
		!slices.ContainsFunc(wanted.Memcached, func(m string) bool { return !slices.Contains(v.Memcached, m) })
}

func (v Versions) String() string {
	return "Kubernetes " + v.Kubernetes + ", memcached " + strings.Join(v.Memcached, ", ") + " and kernel " + v.Kernel
}

// kubernetesRelease is a release of Kubernetes that a module below hack/ pins.
type kubernetesRelease struct {
	Module, Version string
}

// kubernetesReleases has the default first.
var kubernetesReleases = []kubernetesRelease{
	{"kubernetes", "v1.37.2"},
	{"kubernetes-1.36", "v1.36.3"},
	{"kubernetes-1.35", "v1.35.4"},
}

// minor returns the 37 of v1.37.2.
func (r kubernetesRelease) minor() string { return strings.Split(r.Version, ".")[1] }

// is reports whether name is the release's, as v1.37.2, v1.37 or without the v.
func (r kubernetesRelease) is(name string) bool {
	name = strings.TrimPrefix(name, "v")
	return "v"+name == r.Version || name == "1."+r.minor()
}

func kubernetesChoice() string {
	var names []string
	for _, r := range kubernetesReleases {
		names = append(names, fmt.Sprintf("%s (hack/%s)", r.Version, r.Module))
	}
	return strings.Join(names, ", ") + ", each pinned by the module in that directory"
}

// memcachedRelease is a release of memcached that a suite of Debian has.
// Stable suites keep theirs; when sid has moved on, the root filesystem is
// refused by what parts.go has it check.
type memcachedRelease struct {
	Suite, MemcachedVersion string
}

// MemcachedReference returns the name by which pods ask for the image with the
// given release of memcached.
func MemcachedReference(version string) string {
	return Image{Name: memcachedName, Tag: version}.Reference()
}

// memcachedReleases has the default first.
var memcachedReleases = []memcachedRelease{
	{Suite, "1.6.38"},
	{"bookworm", "1.6.18"},
	{"sid", "1.6.45"},
}

// is reports whether name is the release's or that of its suite.
func (r memcachedRelease) is(name string) bool { return name == r.MemcachedVersion || name == r.Suite }

// options are those that apt needs for the suite. What sid says of itself is
// good for a week, which mirrors that lag and archives of a day long past
// exceed; that the version is the wanted one is found out anyway, and the
// signature is checked all the same.
func (r memcachedRelease) options() []string {
	if r.Suite == "sid" {
		return []string{`Acquire::Check-Valid-Until "false"`}
	}
	return nil
}

func memcachedChoice() string {
	var names []string
	for _, r := range memcachedReleases {
		names = append(names, fmt.Sprintf("%s (%s)", r.MemcachedVersion, r.Suite))
	}
	return strings.Join(names, ", ") + ", each from Debian's suite of that name"
}
