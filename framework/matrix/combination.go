// Package matrix runs the suite over combinations of what a lab can be made of,
// one lab after the other, and makes one table of the verdicts.
package matrix

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/nearest"
)

// Combination is what one lab is made of and what is examined on it. The
// values are those of the lab's variables.
type Combination struct {
	Kubernetes string `yaml:"kubernetes"`
	Memcached  string `yaml:"memcached"`
	Kernel     string `yaml:"kernel"`
	Filesystem string `yaml:"filesystem"`
	Driver     string `yaml:"driver"`
}

// Filesystems are those of the volumes, the default first.
var Filesystems = []string{"ext4", "xfs"}

// dimension is a field of a Combination by its name in sets and in MATRIX.
type dimension struct {
	name string
	of   func(Combination) string
}

var dimensions = []dimension{
	{"kubernetes", func(c Combination) string { return c.Kubernetes }},
	{"memcached", func(c Combination) string { return c.Memcached }},
	{"kernel", func(c Combination) string { return c.Kernel }},
	{"filesystem", func(c Combination) string { return c.Filesystem }},
	{"driver", func(c Combination) string { return c.Driver }},
}

// Name is a file name made of the values.
func (c Combination) Name() string {
	return fmt.Sprintf("k8s%s-memcached-%s-kernel%s-%s-%s", c.Kubernetes, c.Memcached, c.Kernel, c.Filesystem, c.Driver)
}

// validate refuses what no lab can be made of.
func (c Combination) validate() error {
	var errs []error
	for _, d := range dimensions {
		if d.of(c) == "" {
			errs = append(errs, fmt.Errorf("%s is missing", d.name))
		}
	}
	if _, err := artifact.ParseVersions(c.Kubernetes, c.Memcached, c.Kernel); err != nil {
		errs = append(errs, err)
	}
	if _, err := pmemcsi.ParseMode(c.Driver); err != nil {
		errs = append(errs, err)
	}
	if c.Filesystem != "" && !slices.Contains(Filesystems, c.Filesystem) {
		errs = append(errs, fmt.Errorf("filesystem %q: there is no such filesystem; give one of %s", c.Filesystem, strings.Join(Filesystems, ", ")))
	}
	return errors.Join(errs...)
}

// Environment is what the suite gets to examine the combination, on top of
// what the user has set. The directory of the report is not part of it. The
// lab has another memcached, too, to which that of the combination is updated.
func (c Combination) Environment() map[string]string {
	memcached := c.Memcached
	if given, err := artifact.ParseVersions("", c.Memcached, ""); err == nil {
		for _, other := range artifact.DefaultVersions().Memcached {
			if !slices.Contains(given.Memcached, other) {
				memcached += "," + other
				break
			}
		}
	}
	env := map[string]string{
		"LAB_KUBERNETES": c.Kubernetes, "LAB_MEMCACHED": memcached, "LAB_KERNEL": c.Kernel, "LAB_DRIVER": c.Driver,
	}
	if c.Filesystem != Filesystems[0] {
		env["EPHEMERAL"] = "manifests/" + c.Filesystem + "/ephemeral"
		env["PERSISTENT"] = "manifests/" + c.Filesystem + "/persistent"
		env["LAB_PMEM"] = "4096" // its volumes are larger
	}
	return env
}

// Variables are the settings that a combination decides.
func Variables() []string {
	return []string{"LAB_KUBERNETES", "LAB_MEMCACHED", "LAB_KERNEL", "LAB_DRIVER", "EPHEMERAL", "PERSISTENT"}
}

// Sets are named lists of combinations.
type Sets map[string][]Combination

// DefaultSet is that which is taken when none is named.
const DefaultSet = "pairwise"

// ParseSets reads and verifies a file of sets.
func ParseSets(text []byte) (Sets, error) {
	var sets Sets
	if err := yaml.UnmarshalWithOptions(text, &sets, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("sets of combinations: %w", err)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		seen := map[Combination]int{}
		for i, c := range sets[name] {
			if err := c.validate(); err != nil {
				errs = append(errs, fmt.Errorf("set %s, combination %d: %w", name, i+1, err))
			}
			if first, twice := seen[c]; twice {
				errs = append(errs, fmt.Errorf("set %s, combination %d: it is the same as %d", name, i+1, first))
			}
			seen[c] = i + 1
		}
	}
	if _, ok := sets[DefaultSet]; !ok {
		errs = append(errs, fmt.Errorf("there is no set %s, which is the default", DefaultSet))
	}
	return sets, errors.Join(errs...)
}

// Select returns the combinations that selection, the value of MATRIX, asks
// for: the name of a set, and values of dimensions that they must have, with
// commas between them, such as "single,kernel=6.1". Either may be missing.
func (s Sets) Select(selection string) ([]Combination, error) {
	set, wanted := "", map[string]string{}
	refuse := func(word, why string) error {
		return fmt.Errorf("MATRIX=%q: %q: %s; give a set (%s), or values of %s such as kernel=6.1, with commas between them",
			selection, word, why, strings.Join(slices.Sorted(maps.Keys(s)), ", "), strings.Join(dimensionNames(), ", "))
	}
	for word := range strings.SplitSeq(selection, ",") {
		word = strings.TrimSpace(word)
		name, value, isValue := strings.Cut(word, "=")
		_, isSet := s[word]
		switch {
		case word == "" && selection == "":
		case word == "":
			return nil, refuse(word, "it is empty")
		case isValue && !slices.ContainsFunc(dimensions, func(d dimension) bool { return d.name == name }):
			return nil, refuse(word, fmt.Sprintf("there is no such dimension; did you mean %s", nearest.To(name, dimensionNames())))
		case isValue && wanted[name] != "":
			return nil, refuse(word, "the dimension has a value already")
		case isValue:
			wanted[name] = value
		case !isSet:
			return nil, refuse(word, fmt.Sprintf("there is no such set; did you mean %s", nearest.To(word, slices.Sorted(maps.Keys(s)))))
		case set != "":
			return nil, refuse(word, "there is a set already")
		default:
			set = word
		}
	}
	if set == "" {
		set = DefaultSet
	}
	var chosen []Combination
	for _, c := range s[set] {
		if !slices.ContainsFunc(dimensions, func(d dimension) bool { return wanted[d.name] != "" && wanted[d.name] != d.of(c) }) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("MATRIX=%q: no combination of set %s has these values; there are\n%s", selection, set, list(s[set]))
	}
	return chosen, nil
}

func dimensionNames() []string {
	var names []string
	for _, d := range dimensions {
		names = append(names, d.name)
	}
	return names
}

func list(combinations []Combination) string {
	var b strings.Builder
	for _, c := range combinations {
		var words []string
		for _, d := range dimensions {
			words = append(words, d.name+"="+d.of(c))
		}
		fmt.Fprintf(&b, "  %s\n", strings.Join(words, ","))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
