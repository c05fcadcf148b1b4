package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Region is persistent memory at one range of addresses.
type Region struct {
	Name       string // such as region0
	Size, Free uint64 // Free belongs to no namespace
	ReadOnly   bool
	Namespaces []Namespace
}

// A Namespace is a part of a region.
type Namespace struct {
	Name   string // such as namespace0.0
	Mode   string // as ndctl calls it: raw, fsdax, devdax or sector
	Size   uint64
	Device string   // such as pmem0; empty if it is not one
	Uses   []string // what of the machine uses it; nil: nothing is seen
}

const devices = "sys/bus/nd/devices"

// regions reads the regions in the order of their names. There are none where
// the kernel knows of no persistent memory.
func (m Machine) regions() ([]Region, error) {
	entries, err := fs.ReadDir(m.Files, devices)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read /%s: %w", devices, err)
	}
	var regions []Region
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, "region") {
			continue
		}
		dir := path.Join(devices, name)
		if kind, err := m.word(path.Join(dir, "devtype")); err == nil && kind != "nd_pmem" {
			continue // such as nd_volatile
		}
		r := Region{Name: name}
		if r.Size, err = m.number(path.Join(dir, "size")); err != nil {
			return nil, err
		}
		// Only regions with labels can be divided.
		if r.Free, err = m.number(path.Join(dir, "available_size")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		readOnly, err := m.number(path.Join(dir, "read_only"))
		r.ReadOnly = err == nil && readOnly != 0
		if r.Namespaces, err = m.namespaces(dir); err != nil {
			return nil, err
		}
		regions = append(regions, r)
	}
	slices.SortFunc(regions, func(a, b Region) int { return number(a.Name) - number(b.Name) })
	return regions, nil
}

func number(region string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(region, "region"))
	return n
}

func (m Machine) namespaces(region string) ([]Namespace, error) {
	entries, err := fs.ReadDir(m.Files, region)
	if err != nil {
		return nil, fmt.Errorf("read /%s: %w", region, err)
	}
	var found []Namespace
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "namespace") || !strings.Contains(e.Name(), ".") {
			continue
		}
		dir := path.Join(region, e.Name())
		n := Namespace{Name: e.Name()}
		if n.Size, err = m.number(path.Join(dir, "size")); err != nil {
			return nil, err
		}
		if n.Size == 0 {
			continue // the seed of the next namespace
		}
		mode, err := m.word(path.Join(dir, "mode"))
		if err != nil {
			return nil, err
		}
		n.Mode = modes[mode]
		if n.Mode == "" {
			n.Mode = mode
		}
		n.Device = m.blockDevice(dir)
		if holder, err := m.word(path.Join(dir, "holder")); err == nil && holder != "" {
			if d := m.blockDevice(path.Join(devices, holder)); d != "" {
				n.Device = d
			}
		}
		if n.Device != "" {
			n.Uses = m.uses(n.Device)
		}
		if n.Mode == "devdax" {
			n.Uses = append(n.Uses, "it is a device of its own (devdax)")
		}
		found = append(found, n)
	}
	return found, nil
}

// modes are ndctl's names of the kernel's.
var modes = map[string]string{"raw": "raw", "memory": "fsdax", "dax": "devdax", "safe": "sector"}

// blockDevice is the name of the disk below a device of the bus; empty: none.
func (m Machine) blockDevice(dir string) string {
	entries, err := fs.ReadDir(m.Files, path.Join(dir, "block"))
	if err != nil || len(entries) == 0 {
		return ""
	}
	return entries[0].Name()
}

// uses lists who uses a disk: mounts, swap, devices that are made of it,
// partitions, and what udev has seen on it.
func (m Machine) uses(disk string) []string {
	var uses []string
	dir := path.Join("sys/class/block", disk)
	if holders, err := fs.ReadDir(m.Files, path.Join(dir, "holders")); err == nil {
		for _, h := range holders {
			name := h.Name()
			if mapped, err := m.word(path.Join("sys/class/block", name, "dm/name")); err == nil {
				name += " (" + mapped + ")"
			}
			uses = append(uses, "device "+name+" is made of it")
		}
	}
	if parts, err := fs.ReadDir(m.Files, dir); err == nil {
		for _, p := range parts {
			if strings.HasPrefix(p.Name(), disk+"p") {
				uses = append(uses, "it has the partition "+p.Name())
			}
		}
	}
	for _, table := range []struct{ file, use string }{{"proc/self/mounts", "it is mounted at "}, {"proc/swaps", "it is used for swap"}} {
		text, err := fs.ReadFile(m.Files, table.file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) < 2 || fields[0] != "/dev/"+disk {
				continue
			}
			use := table.use
			if strings.HasSuffix(use, " ") {
				use += fields[1]
			}
			uses = append(uses, use)
		}
	}
	if number, err := m.word(path.Join(dir, "dev")); err == nil {
		if text, err := fs.ReadFile(m.Files, "run/udev/data/b"+number); err == nil {
			for line := range strings.Lines(string(text)) {
				if kind, ok := strings.CutPrefix(strings.TrimSpace(line), "E:ID_FS_TYPE="); ok && kind != "" {
					uses = append(uses, "it has content of the type "+kind)
				}
			}
		}
	}
	return uses
}

func (m Machine) number(file string) (uint64, error) {
	text, err := m.word(file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("read /%s: %w", file, err)
	}
	return n, nil
}
