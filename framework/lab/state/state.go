package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/lab/private"
	"pmem-memcached-e2e/framework/lab/topology"
)

// State is what is written down about a lab, so that later commands treat it
// as the one that made it did.
type State struct {
	// Ready says that Up came to its end.
	Ready bool `json:"ready"`
	// Versions are what the lab was made of, and Directories those of the cache
	// that it needs as long as it is there. They are written down as soon as
	// all of it is there, so that nobody removes what it needs.
	Versions    artifact.Versions `json:"versions"`
	Directories []string          `json:"directories"`
	// Plan is written down before the first node starts.
	Plan Plan `json:"plan"`
	// Phases of Up that have ended, in order.
	Phases []Phase `json:"phases"`
	// Nodes has what is known of nodes by their names.
	Nodes map[string]Node `json:"nodes,omitempty"`
}

// Made reports whether it is written down what the lab was made of.
func (s State) Made() bool { return s.Versions.Kubernetes != "" }

func (s State) validate() error {
	switch {
	case s.Plan.Nodes < 0 || s.Plan.Nodes > topology.MaxNodes:
		return fmt.Errorf("it has %d nodes", s.Plan.Nodes)
	case s.Made() == (len(s.Versions.Memcached) == 0), s.Made() == (len(s.Directories) == 0):
		return errors.New("it does not have all of what the lab was made of")
	}
	return nil
}

// Plan is what a lab consists of.
type Plan struct {
	Nodes int `json:"nodes"`
	// PMEM is the persistent memory of each node in MiB.
	PMEM  int    `json:"pmem"`
	Accel string `json:"accelerator"`
	// Processor is that of the nodes as QEMU names it, with KVM.
	Processor string       `json:"processor,omitempty"`
	Driver    pmemcsi.Mode `json:"driver"`
	// What every node boots.
	Kernel string `json:"kernel"`
	InitRD string `json:"initrd"`
	Disk   string `json:"disk"`
	// QEMU runs the nodes.
	QEMU artifact.QEMU `json:"qemu"`
	// Memory is the directory of the files that are the persistent memory.
	Memory string `json:"memory"`
	// Snapshot is the directory of the snapshot that the lab came from.
	Snapshot string `json:"snapshot,omitempty"`
}

// Boot has the nodes boot what the parts have for that.
func (p *Plan) Boot(parts *artifact.Parts) {
	p.Kernel, p.InitRD, p.Disk, p.QEMU = parts.Kernel, parts.InitRD, parts.Disk, parts.QEMU
}

// All returns the nodes.
func (p Plan) All() []topology.Node { return topology.Nodes(p.Nodes) }

// Phase is a phase of Up and how long it took.
type Phase struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took"` // in nanoseconds
}

// Node is what is known of a node.
type Node struct {
	// Off says that the node does not run because it was switched off.
	Off bool `json:"off"`
	// Boot and Containers are the boot id of the node and the containers of
	// the cluster's own pods that the API server knew of before the node was
	// last started. What it has of them is no news.
	Boot       string   `json:"boot,omitempty"`
	Containers []string `json:"containers,omitempty"`
}

// ErrUnknown is wrapped by errors that say that a lab has not what is asked for.
var ErrUnknown = errors.New("unknown")

// File is where the state of a lab is written down. Who changes it has the
// lab's lock.
type File struct {
	dir Dir
	mu  sync.Mutex // between goroutines of the process that has the lock
}

const fileName = "state.json"

// Of returns the file of the lab in dir, which need not be there.
func Of(dir Dir) *File { return &File{dir: dir} }

// Read returns the zero State if nothing is written down.
func (f *File) Read() (State, error) {
	path := f.dir.Path(fileName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	var s State
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil {
		err = s.validate()
	}
	if err != nil {
		return State{}, fmt.Errorf("what is written down about lab %s: %s: %w; make lab-down removes the lab", f.dir.Lab(), path, err)
	}
	return s, nil
}

// Change changes all of what is written down or nothing of it.
func (f *File) Change(change func(*State)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.Read()
	if err != nil {
		return err
	}
	change(&s)
	text, err := json.MarshalIndent(s, "", "\t")
	if err == nil {
		err = private.ReplaceFile(f.dir.Path(fileName), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write down the state of lab %s: %w", f.dir.Lab(), err)
	}
	return nil
}

// ChangeNode changes what is written down of one node.
func (f *File) ChangeNode(n topology.Node, change func(*Node)) error {
	return f.Change(func(s *State) {
		if s.Nodes == nil {
			s.Nodes = map[string]Node{}
		}
		node := s.Nodes[n.Name()]
		change(&node)
		s.Nodes[n.Name()] = node
	})
}
