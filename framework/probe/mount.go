package probe

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// A Mount is a line of /proc/PID/mountinfo, proc_pid_mountinfo(5).
type Mount struct {
	Device  string // the mount source
	FSType  string
	Path    string   // the mount point
	Root    string   // the directory of the filesystem that is mounted
	Number  string   // major:minor of the filesystem's device
	Options []string // of the mount, then of the filesystem
}

// DAX reports whether the filesystem maps files directly onto persistent memory: the option is dax, or
// dax=always, as ext4 and xfs show it since Linux 5.8.
func (m Mount) DAX() bool {
	for _, o := range m.Options {
		if o == "dax" || o == "dax=always" {
			return true
		}
	}
	return false
}

// ParseMountinfo reads the text of /proc/PID/mountinfo.
func ParseMountinfo(text string) ([]Mount, error) {
	infos, err := mountinfo.GetMountsFromReader(strings.NewReader(text), nil)
	if err != nil {
		return nil, fmt.Errorf("mountinfo: %w", err)
	}
	var mounts []Mount
	for _, i := range infos {
		mounts = append(mounts, Mount{
			Device: i.Source, FSType: i.FSType, Path: i.Mountpoint, Root: i.Root, Number: fmt.Sprintf("%d:%d", i.Major, i.Minor),
			Options: append(strings.Split(i.Options, ","), strings.Split(i.VFSOptions, ",")...),
		})
	}
	return mounts, nil
}

// MountOf returns the mount of the container that holds path: the deepest one, and of several over
// each other the uppermost.
func MountOf(ctx context.Context, e Execer, namespace, pod, container, path string) (Mount, error) {
	text, err := Output(ctx, e, namespace, pod, container, "cat", "/proc/self/mountinfo")
	if err != nil {
		return Mount{}, err
	}
	m, err := parseMountOf(text, path)
	if err != nil {
		return Mount{}, fmt.Errorf("mounts of container %s of pod %s/%s: %w", container, namespace, pod, err)
	}
	return m, nil
}

func parseMountOf(text, path string) (Mount, error) {
	mounts, err := ParseMountinfo(text)
	if err != nil {
		return Mount{}, err
	}
	m, ok := holding(mounts, path)
	if !ok {
		return Mount{}, fmt.Errorf("none holds %s", path)
	}
	return m, nil
}

func holding(mounts []Mount, path string) (best Mount, ok bool) {
	for _, m := range mounts {
		within := m.Path == "/" || path == m.Path || strings.HasPrefix(path, m.Path+"/")
		if within && (!ok || len(m.Path) >= len(best.Path)) {
			best, ok = m, true
		}
	}
	return best, ok
}
