// Package memmap finds the part of a machine's main memory that an argument of
// the kernel can turn into persistent memory: memmap=SIZE!START.
package memmap

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Sizes and addresses are in bytes.
const (
	MiB = 1 << 20
	GiB = 1 << 30

	// section is what the kernel adds and removes memory in on x86: a part that
	// begins or ends within one cannot be used as a whole.
	section = 128 * MiB
	// lowest keeps the part away from the hole for devices below 4 GiB, and from
	// what boot loaders and old devices need there.
	lowest = 4 * GiB
)

// A Range is a line of /proc/iomem that is not part of another one.
type Range struct {
	Start, End uint64 // End is the last address
	Name       string
}

// ErrHidden says that the file had no addresses: an ordinary user sees zeros.
var ErrHidden = errors.New("/proc/iomem shows its addresses to root alone")

// Parse reads /proc/iomem. Lines that are indented lie within the one above
// and do not count: the kernel places itself again at each boot.
func Parse(iomem string) ([]Range, error) {
	var ranges []Range
	hidden := true
	for lines, n := bufio.NewScanner(strings.NewReader(iomem)), 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || line[0] == ' ' {
			continue
		}
		r, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("/proc/iomem, line %d, %q: %w", n, line, err)
		}
		hidden = hidden && r.End == 0
		ranges = append(ranges, r)
	}
	if hidden {
		return nil, ErrHidden
	}
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })
	return ranges, nil
}

func parseLine(line string) (r Range, err error) {
	addresses, name, ok := strings.Cut(line, " : ")
	start, end, dash := strings.Cut(addresses, "-")
	if !ok || !dash {
		return r, errors.New("want START-END : NAME")
	}
	if r.Start, err = strconv.ParseUint(start, 16, 64); err != nil {
		return r, err
	}
	if r.End, err = strconv.ParseUint(end, 16, 64); err != nil {
		return r, err
	}
	if r.End < r.Start {
		return r, errors.New("it ends before it begins")
	}
	r.Name = strings.TrimSpace(name)
	return r, nil
}

// Legacy reports whether the kernel has a part of the memory that it takes for
// persistent, by memmap or because the firmware says so.
func Legacy(ranges []Range) bool {
	return slices.ContainsFunc(ranges, func(r Range) bool { return strings.HasPrefix(r.Name, "Persistent Memory") })
}

// An Argument of the kernel: Size bytes from the address Start are persistent memory.
type Argument struct{ Size, Start uint64 }

func (a Argument) String() string { return "memmap=" + amount(a.Size) + "!" + amount(a.Start) }

func amount(bytes uint64) string {
	if bytes%GiB == 0 {
		return fmt.Sprintf("%dG", bytes/GiB)
	}
	return fmt.Sprintf("%dM", bytes/MiB)
}

// RoomError says that no range of main memory holds the size.
type RoomError struct {
	Size uint64
	High []Range // main memory above 4 GiB
}

func (e *RoomError) Error() string {
	var above []string
	for _, r := range e.High {
		above = append(above, fmt.Sprintf("%x-%x", r.Start, r.End))
	}
	if above == nil {
		above = []string{"none"}
	}
	return fmt.Sprintf("no range of 'System RAM' above 4 GiB has room for %s in sections of 128 MiB; there are: %s", amount(e.Size), strings.Join(above, ", "))
}

// Propose returns the lowest part of main memory above 4 GiB that holds size,
// a multiple of 128 MiB. It begins at a multiple of 1 GiB if one fits, so that
// the kernel can map it by huge pages, and of 128 MiB otherwise. The
// lowest, because firmware puts the initial RAM disk at the upper end of
// memory before the kernel knows that the part is taken.
func Propose(ranges []Range, size uint64) (Argument, error) {
	if size == 0 || size%section != 0 {
		return Argument{}, fmt.Errorf("size %d: want a multiple of 128 MiB", size)
	}
	var high []Range
	for _, r := range joined(ranges) {
		if r.Name == "System RAM" && r.End >= lowest {
			high = append(high, r)
		}
	}
	for _, align := range []uint64{GiB, section} {
		for _, r := range high {
			start := (max(r.Start, lowest) + align - 1) / align * align
			if start >= r.Start && start <= r.End && r.End-start >= size-1 {
				return Argument{Size: size, Start: start}, nil
			}
		}
	}
	return Argument{}, &RoomError{size, high}
}

// joined makes one of ranges of the same name that touch each other, as on
// machines with several memory nodes.
func joined(ranges []Range) []Range {
	var all []Range
	for _, r := range ranges {
		if n := len(all); n > 0 && all[n-1].Name == r.Name && all[n-1].End+1 == r.Start {
			all[n-1].End = r.End
			continue
		}
		all = append(all, r)
	}
	return all
}

// Given returns the arguments of a kernel command line that make main memory
// persistent, as they are written there.
func Given(commandLine string) []string {
	var given []string
	for word := range strings.FieldsSeq(commandLine) {
		word = strings.Trim(word, `"`)
		if strings.HasPrefix(word, "memmap=") && strings.Contains(word, "!") {
			given = append(given, word)
		}
	}
	return given
}
