// Package snapshot freezes a lab that has come up and saves it, and has other
// labs of its kind continue from there.
package snapshot

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/lab/addons"
	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/nodeconfig"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/state"
	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/lab/vm"
)

// form changes when Up does something else to a cluster that the key of a
// snapshot does not contain.
const form = "2"

// life is how long a snapshot is used. The keys in it must outlast that by the
// life of a lab.
const life = plane.KeyLife / 2

// Artifact returns the snapshot of a lab with that plan, those parts and that
// version of QEMU: a directory with the lab's keys, what its etcd holds, and for
// each node its disk, its persistent and its main memory, and the state of the
// machine. It is for its caller to make.
func Artifact(p state.Plan, parts *artifact.Parts, qemu string) (artifact.Artifact, error) {
	a := artifact.Artifact{Name: "snapshot"}
	processor := ""
	if p.Accel == "kvm" {
		var err error
		if processor, err = processorModel(); err != nil {
			return a, err
		}
	}
	// A lab at a place that is the same for all.
	const dir state.Dir = "/lab"
	p.Memory = "/memory"
	p.Boot(parts)
	commands := plane.Plane{Dir: dir, Etcd: parts.Etcd, Kubernetes: parts.Kubernetes}.Commands()
	for _, n := range p.All() {
		commands = append(commands, vm.Machine{Node: n, Plan: p, Dir: dir}.Command())
	}
	for _, c := range commands {
		a.Key.Add("command", append([]string{c.Path}, c.Args...)...)
	}
	a.Key.Add("form", form)
	a.Key.Add("qemu", qemu, processor)
	a.Key.Add("parts", parts.Directories...)
	a.Key.Add("files", append(nodeconfig.Texts(), addons.Text())...)
	a.Key.Add("driver", append([]string{string(p.Driver)}, p.Driver.Files()...)...)
	a.Key.Add("period", time.Now().UTC().Truncate(life).Format(time.DateOnly))
	return a, nil
}

// processorModel returns what the kernel says the processor of this host is.
func processorModel() (string, error) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "model name"); ok {
			return name, nil
		}
	}
	return "", errors.New("/proc/cpuinfo has no model name")
}

// Files of a node in a snapshot.
func stateFile(dir string, n topology.Node) string   { return filepath.Join(dir, n.Name()+".state") }
func savedDisk(dir string, n topology.Node) string   { return filepath.Join(dir, n.Name()+".qcow2") }
func savedConfig(dir string, n topology.Node) string { return filepath.Join(dir, n.Name()+".config") }
func savedPMEM(dir string, n topology.Node) string   { return vm.PMEMFile(dir, n) }
func savedMain(dir string, n topology.Node) string   { return vm.MainMemory{Dir: dir}.File(n) }
