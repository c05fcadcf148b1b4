package cluster

import (
	"context"

	"sigs.k8s.io/e2e-framework/support"
)

// NodePower switches nodes off and on. It is the part of e2e-framework's
// E2EClusterProviderWithLifeCycle that specs use.
type NodePower interface {
	// StopNode shuts a node down, or with the argument "cut" takes its power
	// away at once.
	StopNode(ctx context.Context, node *support.Node, args ...string) error
	// StartNode returns when the node is of use again.
	StartNode(ctx context.Context, node *support.Node, args ...string) error
}
