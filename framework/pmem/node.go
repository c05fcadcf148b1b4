package pmem

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/probe"
)

func (d *NodeDriver) run(ctx context.Context, command ...string) (string, error) {
	text, err := probe.Output(ctx, d.exec, d.Namespace, d.Pod, d.Container, command...)
	if err != nil {
		return "", fmt.Errorf("node %s: %w", d.Node, err)
	}
	return text, nil
}

// A LogicalVolume is one of LVM. In LVM mode the driver names it after the handle of a persistent
// volume; that of an inline volume has a name of its own, found through its mount.
type LogicalVolume struct {
	Name, Group, Path string
	Size              int64 // bytes
}

// Backs reports whether m is a mount of the logical volume, by either name of its device.
func (v LogicalVolume) Backs(m probe.Mount) bool {
	escape := func(name string) string { return strings.ReplaceAll(name, "-", "--") }
	return m.Device == v.Path || m.Device == "/dev/mapper/"+escape(v.Group)+"-"+escape(v.Name)
}

// The fields of the reports that are read, see lvs(8) and vgs(8).
const (
	lvsFields = "lv_name,vg_name,lv_size,lv_path"
	vgsFields = "vg_name,vg_size,vg_free"
)

// LogicalVolumes lists the logical volumes of the node.
func (d *NodeDriver) LogicalVolumes(ctx context.Context) ([]LogicalVolume, error) {
	text, err := d.run(ctx, "lvs", "--reportformat", "json", "-o", lvsFields, "--units", "b")
	if err != nil {
		return nil, err
	}
	volumes, err := parseLVS([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", d.Node, err)
	}
	return volumes, nil
}

type lvmReport struct {
	Report []struct {
		LV []struct {
			Name  string `json:"lv_name"`
			Group string `json:"vg_name"`
			Size  string `json:"lv_size"`
			Path  string `json:"lv_path"`
		} `json:"lv"`
		VG []struct {
			Name string `json:"vg_name"`
			Size string `json:"vg_size"`
			Free string `json:"vg_free"`
		} `json:"vg"`
	} `json:"report"`
}

func parseLVS(text []byte) ([]LogicalVolume, error) {
	var r lvmReport
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("output of lvs %.200q: %w", text, err)
	}
	var volumes []LogicalVolume
	for _, part := range r.Report {
		for _, lv := range part.LV {
			size, err := lvmBytes(lv.Size)
			if err != nil {
				return nil, fmt.Errorf("output of lvs: lv_size of %s: %w", lv.Name, err)
			}
			volumes = append(volumes, LogicalVolume{Name: lv.Name, Group: lv.Group, Path: lv.Path, Size: size})
		}
	}
	return volumes, nil
}

// A VolumeGroup is one of LVM; sizes in bytes.
type VolumeGroup struct {
	Name       string
	Size, Free int64
}

// VolumeGroups lists the volume groups of the node; the driver makes one a region.
func (d *NodeDriver) VolumeGroups(ctx context.Context) ([]VolumeGroup, error) {
	text, err := d.run(ctx, "vgs", "--reportformat", "json", "-o", vgsFields, "--units", "b")
	if err != nil {
		return nil, err
	}
	groups, err := parseVGS([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", d.Node, err)
	}
	return groups, nil
}

func parseVGS(text []byte) ([]VolumeGroup, error) {
	var r lvmReport
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("output of vgs %.200q: %w", text, err)
	}
	var groups []VolumeGroup
	for _, part := range r.Report {
		for _, vg := range part.VG {
			size, err := lvmBytes(vg.Size)
			if err != nil {
				return nil, fmt.Errorf("output of vgs: vg_size of %s: %w", vg.Name, err)
			}
			free, err := lvmBytes(vg.Free)
			if err != nil {
				return nil, fmt.Errorf("output of vgs: vg_free of %s: %w", vg.Name, err)
			}
			groups = append(groups, VolumeGroup{Name: vg.Name, Size: size, Free: free})
		}
	}
	return groups, nil
}

func lvmBytes(text string) (int64, error) {
	return strconv.ParseInt(strings.TrimSuffix(text, "B"), 10, 64)
}

// A Region is one of the non-volatile memory of the node; sizes in bytes.
type Region struct {
	Dev           string      `json:"dev"`
	Size          int64       `json:"size"`
	AvailableSize int64       `json:"available_size"`
	Type          string      `json:"type"`
	Namespaces    []Namespace `json:"namespaces"`
}

// A Namespace is a part of a region.
type Namespace struct {
	Dev      string `json:"dev"`
	Mode     string `json:"mode"` // fsdax, devdax, sector or raw
	Map      string `json:"map"`
	Name     string `json:"name"`
	Size     int64  `json:"size"` // of its device, in bytes
	BlockDev string `json:"blockdev"`
}

// Regions lists the regions of the node with their namespaces, idle ones included.
func (d *NodeDriver) Regions(ctx context.Context) ([]Region, error) {
	text, err := d.run(ctx, "ndctl", "list", "-NRi")
	if err != nil {
		return nil, err
	}
	regions, err := parseNdctl([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", d.Node, err)
	}
	return regions, nil
}

// Namespaces lists the namespaces of all regions of the node, idle ones included.
func (d *NodeDriver) Namespaces(ctx context.Context) ([]Namespace, error) {
	regions, err := d.Regions(ctx)
	var namespaces []Namespace
	for _, r := range regions {
		namespaces = append(namespaces, r.Namespaces...)
	}
	return namespaces, err
}

// Taken returns how many bytes of its region a namespace takes. In mode fsdax with map dev that is
// more than its device has, since what describes its pages lies there, too. The driver takes the
// size of a volume for this one (PMEM-CSI docs/design.md, Volume Size).
func (d *NodeDriver) Taken(ctx context.Context, n Namespace) (int64, error) {
	text, err := d.run(ctx, "cat", "/sys/bus/nd/devices/"+n.Dev+"/size")
	if err != nil {
		return 0, err
	}
	size, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("node %s: size of %s: %w", d.Node, n.Dev, err)
	}
	return size, nil
}

// parseNdctl reads what ndctl list -NR prints: nothing, an object with the key regions, a list of
// regions, or a single region.
func parseNdctl(text []byte) ([]Region, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, nil
	}
	if text[0] == '[' {
		var list []Region
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("output of ndctl %.200q: %w", text, err)
		}
		return list, nil
	}
	var object struct {
		Regions []Region `json:"regions"`
		Region
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("output of ndctl %.200q: %w", text, err)
	}
	if object.Dev != "" {
		return []Region{object.Region}, nil
	}
	return object.Regions, nil
}

// Dmesg returns the messages of the node's kernel.
func (d *NodeDriver) Dmesg(ctx context.Context) (string, error) {
	return d.run(ctx, "dmesg")
}

// DmesgSince returns the messages of the node's kernel from a time on. The kernel stamps them with the
// seconds since it booted.
func (d *NodeDriver) DmesgSince(ctx context.Context, since time.Time) (string, error) {
	text, err := d.run(ctx, "sh", "-c", "cat /proc/uptime && dmesg")
	if err != nil {
		return "", err
	}
	uptime, messages, _ := strings.Cut(text, "\n")
	var now float64
	if _, err := fmt.Sscanf(uptime, "%f", &now); err != nil {
		return "", fmt.Errorf("node %s: /proc/uptime %q: %w", d.Node, uptime, err)
	}
	return messagesSince(messages, now-time.Since(since).Seconds()), nil
}

// messageStamp is in front of a message, such as "[   12.345678] ".
var messageStamp = regexp.MustCompile(`^\[ *(\d+\.\d+)\] `)

// messagesSince are the messages that are stamped with at least so many seconds. Further lines of a message
// have no stamp.
func messagesSince(messages string, seconds float64) string {
	var kept strings.Builder
	keep := false
	for line := range strings.Lines(messages) {
		if found := messageStamp.FindStringSubmatch(line); found != nil {
			at, err := strconv.ParseFloat(found[1], 64)
			keep = err == nil && at >= seconds
		}
		if keep {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// Report runs one of the commands of the driver's image and returns its output as it is, for
// people to read: lvs, vgs, ndctl or mounts.
func (d *NodeDriver) Report(ctx context.Context, what string) (string, error) {
	switch what {
	case "lvs":
		return d.run(ctx, "lvs", "-a", "-o", "+lv_path,devices", "--units", "b")
	case "vgs":
		return d.run(ctx, "vgs", "--units", "b")
	case "ndctl":
		return d.run(ctx, "ndctl", "list", "-NRi")
	case "mounts":
		return d.run(ctx, "cat", "/proc/1/mountinfo")
	}
	return "", fmt.Errorf("node %s: no report %q; there are lvs, vgs, ndctl and mounts", d.Node, what)
}

// Free returns the bytes of persistent memory of the node from which a volume
// can be made: the largest of what is free in a volume group or, without LVM,
// in a region.
func (d *NodeDriver) Free(ctx context.Context) (int64, error) {
	groups, err := d.VolumeGroups(ctx)
	if err != nil {
		return 0, err
	}
	var most int64
	for _, g := range groups {
		most = max(most, g.Free)
	}
	if len(groups) > 0 {
		return most, nil
	}
	regions, err := d.Regions(ctx)
	for _, r := range regions {
		most = max(most, r.AvailableSize)
	}
	return most, err
}
