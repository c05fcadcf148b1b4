package pmem

import (
	"fmt"
	"strconv"
	"strings"
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
	var mounts []Mount
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			continue
		}
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Split(before, " "), strings.Split(after, " ")
		if !ok || len(left) < 6 || len(right) < 3 {
			return nil, fmt.Errorf("mountinfo: unexpected line %q", line)
		}
		m := Mount{
			Number: left[2],
			Root:   unescape(left[3]),
			Path:   unescape(left[4]),
			FSType: right[0],
			Device: unescape(right[1]),
		}
		m.Options = append(strings.Split(left[5], ","), strings.Split(right[2], ",")...)
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// unescape replaces the octal escapes of the kernel for space, tab, line feed and backslash.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
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

// A Mapping is a line of /proc/PID/maps, proc_pid_maps(5).
type Mapping struct {
	Start, End uint64
	Perms      string // such as rw-s
	Offset     uint64
	Device     string // major:minor, in hexadecimal
	Inode      uint64
	Path       string
	Deleted    bool // the file was removed since
}

// ParseMaps reads the text of /proc/PID/maps.
func ParseMaps(text string) ([]Mapping, error) {
	var mappings []Mapping
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			continue
		}
		var m Mapping
		if _, err := fmt.Sscanf(line, "%x-%x %s %x %s %d", &m.Start, &m.End, &m.Perms, &m.Offset, &m.Device, &m.Inode); err != nil {
			return nil, fmt.Errorf("maps: unexpected line %q: %w", line, err)
		}
		if fields := strings.SplitN(line, " ", 6); len(fields) == 6 {
			m.Path = strings.TrimLeft(fields[5], " ")
		}
		m.Path, m.Deleted = strings.CutSuffix(m.Path, " (deleted)")
		mappings = append(mappings, m)
	}
	return mappings, nil
}
