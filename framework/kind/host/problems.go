package host

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pmem-memcached-e2e/framework/kind/memmap"
)

// A Problem is why this machine cannot have the cluster, and what to do.
type Problem struct {
	What   string
	Remedy string
	Steps  []string // further lines of the remedy, where one does not do
}

func (p *Problem) Error() string {
	lines := append([]string{p.What + ": " + p.Remedy}, p.Steps...)
	return strings.Join(lines, "\n    ")
}

const (
	// clusterMemory is what a control plane, a worker and the pods of the specs
	// take, as on the lab.
	clusterMemory = 4 * memmap.GiB
	// minRegion is the least that the specs can run on.
	minRegion = 512 * memmap.MiB
)

// proposed are the sizes of persistent memory to ask for: the lab's, or less on
// a small machine.
var proposed = []uint64{2 * memmap.GiB, 1 * memmap.GiB, minRegion}

// Problems are all of them; none if the cluster can be made in the persistent
// memory of the given regions.
func (h Host) Problems(regions []string) []*Problem {
	var found []*Problem
	add := func(p *Problem) {
		if p != nil {
			found = append(found, p)
		}
	}
	add(h.Engine.problem())
	if !h.CgroupV2 || h.Engine.CgroupV1 {
		add(&Problem{What: "this machine has cgroup v1, and kubelets need v2",
			Remedy: "add systemd.unified_cgroup_hierarchy=1 to the kernel's command line in the way of other arguments, and reboot; Debian 11, Ubuntu 21.10, Fedora 31 and later have v2 by default"})
	}
	found = append(found, h.moduleProblems()...)
	if h.Memory < clusterMemory {
		add(&Problem{What: fmt.Sprintf("%d MiB of memory are available, and a cluster of two nodes needs %d MiB", h.Memory>>20, clusterMemory>>20),
			Remedy: "end other programs, or take a machine with more memory"})
	}
	if len(h.Regions) == 0 {
		add(h.noRegion())
	} else {
		found = append(found, h.regionProblems(regions)...)
	}
	return found
}

func (e Engine) problem() *Problem {
	name := e.Name
	switch {
	case errors.Is(e.Err, errAbsent) && name != "":
		return &Problem{What: fmt.Sprintf("KIND_ENGINE=%q: the program is not found", name),
			Remedy: "install it, or leave KIND_ENGINE unset for the first that answers of " + strings.Join(Engines, ", ")}
	case errors.Is(e.Err, errAbsent):
		return &Problem{What: "there is no container engine, and kind makes nodes out of containers",
			Remedy: "install docker, podman or nerdctl, on Debian and Ubuntu: sudo apt-get install docker.io"}
	case e.Err != nil && strings.Contains(strings.ToLower(e.Err.Error()), "permission denied"):
		return &Problem{What: fmt.Sprintf("this user may not use %s (%v)", name, e.Err),
			Remedy: "run the command with sudo, or add the user to the engine's group, for docker: sudo usermod -aG docker $USER, and log in again"}
	case e.Err != nil:
		return &Problem{What: fmt.Sprintf("%s does not answer (%v)", name, e.Err),
			Remedy: "start it, such as by sudo systemctl start " + service(name) + ", or name another with KIND_ENGINE"}
	case e.Rootless:
		return &Problem{What: name + " runs without root, and then no container can use the machine's persistent memory",
			Remedy: "use the engine of root: run the command with sudo, and for docker leave DOCKER_HOST and its context at the default"}
	}
	return nil
}

func service(engine string) string {
	if engine == "nerdctl" {
		return "containerd"
	}
	return engine
}

func (h Host) moduleProblems() []*Problem {
	var found []*Problem
	for _, n := range needed {
		state := h.Modules[n.name]
		switch {
		case state == Missing && n.name == legacyModule && (len(h.Regions) > 0 || h.Arch != "amd64"):
		case state == Missing:
			found = append(found, &Problem{What: fmt.Sprintf("the kernel %s has no module %s", h.Kernel, n.name),
				Remedy: "install the package of the kernel's modules (/lib/modules/" + h.Kernel + "), or boot a kernel that has it, such as the distribution's"})
		case state == Loadable && (n.name == mapperModule || n.name == pmemModule && len(h.Regions) > 0):
			found = append(found, &Problem{What: "the module " + n.name + " is not loaded",
				Remedy: fmt.Sprintf("sudo modprobe %s; to have it after a reboot, too: echo %s | sudo tee /etc/modules-load.d/%s.conf", n.name, n.name, n.name)})
		}
	}
	return found
}

func (h Host) regionProblems(given []string) []*Problem {
	var found []*Problem
	names := make([]string, len(h.Regions))
	for i, r := range h.Regions {
		names[i] = r.Name
	}
	for _, name := range given {
		i := slices.Index(names, name)
		if i < 0 {
			found = append(found, &Problem{What: fmt.Sprintf("KIND_PMEM=%q: this machine has no such region", name), Remedy: "give one of " + strings.Join(names, ", ")})
			continue
		}
		if why := h.Regions[i].unusable(); why != "" {
			found = append(found, &Problem{What: fmt.Sprintf("KIND_PMEM=%q: %s", name, why),
				Remedy: "give a region that is free, or end that use yourself if the content is not needed; the suite never touches what others use"})
		}
	}
	if len(given) > 0 {
		return found
	}
	var steps, usable []string
	for _, r := range h.Regions {
		why := r.unusable()
		if why == "" {
			why = "free"
			usable = append(usable, r.Name)
		}
		steps = append(steps, fmt.Sprintf("%s, %d MiB: %s", r.Name, r.Size>>20, why))
	}
	remedy := "free one of them yourself if its content is not needed"
	if len(usable) > 0 {
		remedy = "give KIND_PMEM=" + usable[0] + "; its namespace is made fsdax for the run, and what it contains is lost"
	}
	return []*Problem{{What: "persistent memory is there, and KIND_PMEM does not say which of it may be used", Remedy: remedy, Steps: steps}}
}

// unusable says why the region cannot be used; empty: it can.
func (r Region) unusable() string {
	switch {
	case r.ReadOnly:
		return "it is read-only"
	case r.Size < minRegion:
		return fmt.Sprintf("it has %d MiB, and the specs need %d MiB", r.Size>>20, minRegion>>20)
	case len(r.Namespaces) == 0 && r.Free < minRegion:
		return "it has no namespace, and no room for one"
	case len(r.Namespaces) > 1:
		return fmt.Sprintf("it is divided into %d namespaces", len(r.Namespaces))
	}
	for _, n := range r.Namespaces {
		if len(n.Uses) > 0 {
			return fmt.Sprintf("%s is used: %s", n.Name, strings.Join(n.Uses, "; "))
		}
		if n.Mode != "raw" && n.Mode != "fsdax" {
			return fmt.Sprintf("%s is in mode %s", n.Name, n.Mode)
		}
	}
	return ""
}
