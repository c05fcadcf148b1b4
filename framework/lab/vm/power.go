package vm

import (
	"context"

	"pmem-memcached-e2e/framework/lab/qmp"
	"pmem-memcached-e2e/framework/lab/state"
)

// Power is the state that the power of a node is in.
type Power string

// States of a node.
const (
	Running Power = "running"
	Paused  Power = "paused"
	// Off is the state after a shutdown and after the power was cut.
	Off Power = "off"
	// Lost is a node whose virtual machine ended by itself.
	Lost Power = "lost"
	// Unresponsive is a node whose virtual machine does not report its state.
	Unresponsive Power = "unresponsive"
)

// Power returns the state of a node of which that is known.
func (m Machine) Power(ctx context.Context, known state.Node) Power {
	if err := m.Alive(); err != nil {
		return Ended(known)
	}
	var answer struct {
		Running bool `json:"running"`
	}
	switch err := m.Ask(ctx, qmp.Command{Execute: "query-status"}, &answer); {
	case err != nil:
		return Unresponsive
	case answer.Running:
		return Running
	}
	return Paused
}

// Ended returns the state of a node that does not run and of which that is
// known.
func Ended(known state.Node) Power {
	if known.Off {
		return Off
	}
	return Lost
}
