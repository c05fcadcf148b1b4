package spec

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var releaseForm = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)\.([0-9]+)`)

// release is a version of memcached by its three numbers.
func release(version string) ([]int, error) {
	parts := releaseForm.FindStringSubmatch(strings.TrimSpace(version))
	if parts == nil {
		return nil, fmt.Errorf("%q is no version of memcached, such as 1.6.38", version)
	}
	var numbers []int
	for _, part := range parts[1:] {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("%q is no version of memcached: %w", version, err)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// HoldsFor reports whether r holds for a version of memcached. Without Versions
// it does for all, also for one that is not known; else that is an error.
func (r Requirement) HoldsFor(version string) (bool, error) {
	if r.Versions == "" {
		return true, nil
	}
	operator, bound, _ := strings.Cut(r.Versions, " ")
	want, err := release(bound)
	if err != nil {
		return false, err
	}
	have, err := release(version)
	if err != nil {
		return false, fmt.Errorf("%s holds for memcached %s: %w", r.ID, r.Versions, err)
	}
	return (operator == "<") == (slices.CompareFunc(have, want, cmp.Compare[int]) < 0), nil
}
