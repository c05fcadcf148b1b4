// Package topology has the names and the addresses of a lab's nodes and of all
// else that is in its network namespace.
package topology

import (
	"fmt"
	"net"

	"pmem-memcached-e2e/framework/config"
)

// Addresses inside the lab's network namespace. They cannot clash with the
// host's, which the namespace does not see.
const (
	HostAddress   = "172.30.0.1"
	NetworkPrefix = "24"
	PodRange      = "10.244.0.0/16"
	ServiceRange  = "10.96.0.0/16"
	APIService    = "10.96.0.1"
	DNSService    = "10.96.0.10"
	APIPort       = "6443"
)

// APIAddress is where the API server listens in the lab's namespace.
var APIAddress = net.JoinHostPort(HostAddress, APIPort)

// MaxNodes is the largest number of nodes that a lab may have.
const MaxNodes = config.MaxLabNodes

// Node is one machine of the lab, by its number from 1 to MaxNodes.
type Node int

// Nodes returns the nodes of a lab that has count of them.
func Nodes(count int) []Node {
	nodes := make([]Node, count)
	for i := range nodes {
		nodes[i] = Node(i + 1)
	}
	return nodes
}

// Name is that of the node, of its QEMU process and of its user.
func (n Node) Name() string { return fmt.Sprintf("node%d", n) }

// Address is the node's in the lab's network.
func (n Node) Address() string { return fmt.Sprintf("172.30.0.%d", 10+n) }

// PodRange has the addresses of the pods on the node.
func (n Node) PodRange() string { return fmt.Sprintf("10.244.%d.0/24", n) }

// Tap is the network interface through which the node is reached.
func (n Node) Tap() string { return "tap-" + n.Name() }

// MAC is the hardware address of the node's network interface.
func (n Node) MAC() string { return fmt.Sprintf("52:54:00:1a:b0:%02x", int(n)) }
