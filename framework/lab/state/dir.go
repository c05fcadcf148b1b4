// Package state has what is written down about a lab, and where its files are.
package state

import (
	"path/filepath"

	"pmem-memcached-e2e/framework/lab/topology"
)

// Dir is the directory of a lab, which is there as long as the lab is.
type Dir string

// Path returns a path below the directory.
func (d Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Lab returns the name of the lab.
func (d Dir) Lab() string { return filepath.Base(string(d)) }

// Kubeconfig returns the path of the administrator's kubeconfig.
func (d Dir) Kubeconfig() string { return d.Path("kubeconfig") }

// LogSuffix ends the names of all logs.
const LogSuffix = ".log"

// Logs returns the directory of the logs.
func (d Dir) Logs() string { return d.Path("logs") }

// Log returns the path of the log of that name, such as "etcd" or
// "node1/console".
func (d Dir) Log(name string) string { return d.Path("logs", name+LogSuffix) }

// Key returns the path of a file with a key, or of their directory.
func (d Dir) Key(elem ...string) string { return d.Path(append([]string{KeysDir}, elem...)...) }

// Node returns the path of a file that belongs to one node.
func (d Dir) Node(n topology.Node, elem ...string) string {
	return d.Path(append([]string{NodesDir, n.Name()}, elem...)...)
}

// What a lab has below its directory.
const (
	EtcdDir  = "etcd"
	KeysDir  = "keys"
	NodesDir = "nodes"
)
