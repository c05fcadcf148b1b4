package pmem

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pmem-memcached-e2e/framework/probe"
)

// Parts of an Inventory.
const (
	PartVolumes    = "logical volumes"
	PartGroups     = "volume groups"
	PartNamespaces = "namespaces"
	PartMounts     = "mounts"
	PartFiles      = "state files"
)

// An Inventory is what the driver holds on a node.
type Inventory struct {
	Volumes    []LogicalVolume // in the driver's volume groups
	Groups     []VolumeGroup   // of the driver
	Namespaces []Namespace     // those in use
	Mounts     []probe.Mount   // of the driver's volumes
	Files      []string        // in the driver's state directory, relative to it
	Unread     map[string]error
}

// inventoryScript runs all commands in one go, because starting a process in a container is slow. Each
// part is framed on both streams by lines that no command prints.
const inventoryScript = `part() {
	echo "=== $1"
	echo "=== $1" >&2
	shift
	"$@"
	printf '\n=== exit %d\n' $?
}
part '` + PartVolumes + `' lvs --reportformat json -o ` + lvsFields + ` --units b
part '` + PartGroups + `' vgs --reportformat json -o ` + vgsFields + ` --units b
part '` + PartNamespaces + `' ndctl list -NRi
part '` + PartMounts + `' cat /proc/1/mountinfo
part '` + PartFiles + `' find "$1" -xdev -mindepth 1 -printf '%y %P\n'
exit 0`

// Inventory reads everything with one command in the driver's container. A part that could not be
// read is in Unread, by its name.
func (d *NodeDriver) Inventory(ctx context.Context) (Inventory, error) {
	result, err := d.exec.Exec(ctx, d.Namespace, d.Pod, d.Container, "sh", "-c", inventoryScript, "sh", d.StateDir)
	if err != nil {
		return Inventory{}, fmt.Errorf("node %s: %w", d.Node, err)
	}
	if result.ExitCode != 0 {
		return Inventory{}, fmt.Errorf("node %s: %w", d.Node, probe.ExitError(d.Namespace, d.Pod, d.Container, []string{"sh"}, result))
	}
	return d.parseInventory(result.Stdout, result.Stderr), nil
}

func (d *NodeDriver) parseInventory(stdout, stderr string) Inventory {
	inv := Inventory{Unread: map[string]error{}}
	texts, complaints := frames(stdout), frames(stderr)
	for name, parse := range map[string]func(text string) error{
		PartVolumes: func(text string) (err error) {
			volumes, err := parseLVS([]byte(text))
			inv.Volumes = slices.DeleteFunc(volumes, func(v LogicalVolume) bool { return !driverGroup.MatchString(v.Group) })
			return err
		},
		PartGroups: func(text string) (err error) {
			groups, err := parseVGS([]byte(text))
			inv.Groups = slices.DeleteFunc(groups, func(g VolumeGroup) bool { return !driverGroup.MatchString(g.Name) })
			return err
		},
		PartNamespaces: func(text string) error {
			regions, err := parseNdctl([]byte(text))
			for _, region := range regions {
				inv.Namespaces = append(inv.Namespaces, region.Namespaces...)
			}
			// The kernel keeps a seed of size 0 in every region for the next one.
			inv.Namespaces = slices.DeleteFunc(inv.Namespaces, func(n Namespace) bool { return n.Size == 0 })
			return err
		},
		PartMounts: func(text string) error {
			mounts, err := probe.ParseMountinfo(text)
			inv.Mounts = slices.DeleteFunc(mounts, func(m probe.Mount) bool { return !d.mounted(m) })
			return err
		},
		PartFiles: func(text string) (err error) {
			inv.Files, err = parseFiles(text)
			return err
		},
	} {
		text, err := content(texts[name], complaints[name])
		if err == nil {
			err = parse(text)
		}
		if err != nil {
			inv.Unread[name] = err
		}
	}
	return inv
}

// frames splits the output of inventoryScript by part.
func frames(text string) map[string]string {
	parts := map[string]string{}
	name := ""
	for line := range strings.Lines(text) {
		if head, ok := strings.CutPrefix(line, "=== "); ok && !strings.HasPrefix(head, "exit ") {
			name = strings.TrimSpace(head)
			continue
		}
		parts[name] += line
	}
	return parts
}

// content returns what the command of a part printed, if it ended well.
func content(frame, complaint string) (string, error) {
	text, code, ok := strings.Cut(frame, "\n=== exit ")
	if !ok {
		return "", errors.New("the command did not come to its end")
	}
	if status, err := strconv.Atoi(strings.TrimSpace(code)); err != nil || status != 0 {
		return "", fmt.Errorf("exit code %s: %.200s", strings.TrimSpace(code), strings.Join(strings.Fields(complaint), " "))
	}
	return text, nil
}

// parseFiles reads lines of type and path. The directory mount is where the driver makes mount
// points for Kata Containers; it stays for good once it was needed.
func parseFiles(text string) ([]string, error) {
	var files []string
	for line := range strings.Lines(text) {
		kind, path, ok := strings.Cut(strings.TrimRight(line, "\n"), " ")
		switch {
		case line == "\n" || kind == "d" && path == "mount":
			continue
		case !ok || len(kind) != 1 || path == "":
			return nil, fmt.Errorf("unexpected line %q", line)
		}
		files = append(files, path)
	}
	return files, nil
}

// driverGroup matches the names that the driver gives to volume groups, after bus and region:
// pkg/pmem-common/vgname.go of v1.1.0.
var driverGroup = regexp.MustCompile(`^ndbus[0-9]+region[0-9]+fsdax$`)

// OfDriver reports whether a volume group has a name that the driver gives.
func OfDriver(group string) bool { return driverGroup.MatchString(group) }

// mounted reports whether m is a mount of a volume of the driver.
func (d *NodeDriver) mounted(m probe.Mount) bool {
	if group, _, ok := MountedVolume(m); ok && driverGroup.MatchString(group) {
		return true
	}
	return strings.Contains(m.Path, "/kubernetes.io/csi/"+d.Name+"/") || // staged by the kubelet
		strings.HasPrefix(m.Path, d.StateDir+"/") ||
		strings.HasPrefix(m.Device, "/dev/pmem") && strings.Contains(m.Path, "/kubernetes.io~csi/")
}

// MountedVolume returns the volume group and the name of the logical volume that is mounted, from
// the device's name: /dev/GROUP/NAME, or /dev/mapper/GROUP-NAME with hyphens doubled.
func MountedVolume(m probe.Mount) (group, name string, ok bool) {
	path, ok := strings.CutPrefix(m.Device, "/dev/")
	if !ok {
		return "", "", false
	}
	mapped, ok := strings.CutPrefix(path, "mapper/")
	if !ok {
		group, name, ok = strings.Cut(path, "/")
		return group, name, ok && name != "" && !strings.Contains(name, "/")
	}
	for i := 0; i+1 < len(mapped); i++ {
		if mapped[i] != '-' {
			continue
		}
		if mapped[i+1] == '-' {
			i++
			continue
		}
		unescape := strings.NewReplacer("--", "-")
		return unescape.Replace(mapped[:i]), unescape.Replace(mapped[i+1:]), i > 0
	}
	return "", "", false
}
