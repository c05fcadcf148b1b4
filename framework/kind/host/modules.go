package host

import (
	"io/fs"
	"path"
	"strings"
)

// ModuleState says whether the kernel has what a module provides.
type ModuleState string

// States of a module.
const (
	Loaded   ModuleState = "loaded"   // or built in
	Loadable ModuleState = "loadable" // its file is there
	Missing  ModuleState = "missing"
)

// Modules that a cluster with persistent memory needs.
const (
	pmemModule   = "nd_pmem"
	legacyModule = "nd_e820" // makes regions of what memmap sets aside
	mapperModule = "dm_mod"
)

// needed are the modules, and a file that is there if the kernel has what they
// provide, where there is one.
var needed = []struct{ name, sign string }{
	{pmemModule, "sys/bus/nd/drivers/nd_pmem"},
	{legacyModule, "sys/bus/platform/drivers/e820_pmem"},
	{mapperModule, "sys/class/misc/device-mapper"},
	{"ext4", "sys/fs/ext4"},
	{"xfs", "sys/fs/xfs"},
	{"overlay", "sys/module/overlay"},
}

// modules needs no permission: it asks for what the modules leave in sysfs, and
// for the lists that depmod writes.
func (m Machine) modules(release string) map[string]ModuleState {
	there := m.listed(path.Join("lib/modules", release, "modules.dep"))
	builtin := m.listed(path.Join("lib/modules", release, "modules.builtin"))
	states := map[string]ModuleState{}
	for _, n := range needed {
		loaded := builtin[n.name]
		for _, sign := range []string{n.sign, "sys/module/" + n.name} {
			if _, err := fs.Stat(m.Files, sign); err == nil {
				loaded = true
			}
		}
		switch {
		case loaded:
			states[n.name] = Loaded
		case there[n.name]:
			states[n.name] = Loadable
		default:
			states[n.name] = Missing
		}
	}
	return states
}

// listed are the names of the modules of a list of files; none if it cannot be
// read.
func (m Machine) listed(file string) map[string]bool {
	text, err := fs.ReadFile(m.Files, file)
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, _ := strings.Cut(path.Base(file), ".ko")
		names[strings.ReplaceAll(name, "-", "_")] = true
	}
	return names
}
