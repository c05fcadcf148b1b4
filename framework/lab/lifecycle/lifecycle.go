// Package lifecycle offers a lab through the interfaces that e2e-framework has
// for clusters and the life of their nodes, so that who needs the power of a
// node need not know that the cluster is a lab.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient"
	"sigs.k8s.io/e2e-framework/support"

	"pmem-memcached-e2e/framework/lab"
	"pmem-memcached-e2e/framework/lab/plane"
	"pmem-memcached-e2e/framework/lab/power"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/redact"
)

// Provider is a lab. Its life cycle knows the actions of package lab: StopNode
// takes "off", which it does without an argument, "cut" and "pause".
type Provider struct{ opts lab.Options }

var _ support.E2EClusterProviderWithLifeCycle = (*Provider)(nil)

// New returns the lab that opts name. It changes nothing.
func New(opts lab.Options) *Provider { return &Provider{opts} }

func (p *Provider) lab() (*lab.Lab, error) { return lab.New(p.opts) }

// WithName implements support.E2EClusterProvider.
func (p *Provider) WithName(name string) support.E2EClusterProvider {
	p.opts.Name = name
	return p
}

// WithVersion implements support.E2EClusterProvider. A lab has the version
// that its checkout pins.
func (p *Provider) WithVersion(string) support.E2EClusterProvider { return p }

// WithPath implements support.E2EClusterProvider. A lab has no executable of
// its own.
func (p *Provider) WithPath(string) support.E2EClusterProvider { return p }

// WithOpts implements support.E2EClusterProvider.
func (p *Provider) WithOpts(opts ...support.ClusterOpts) support.E2EClusterProvider {
	for _, apply := range opts {
		apply(p)
	}
	return p
}

// SetDefaults implements support.E2EClusterProvider.
func (p *Provider) SetDefaults() support.E2EClusterProvider { return p }

// Create implements support.E2EClusterProvider. It returns the path of the
// kubeconfig.
func (p *Provider) Create(ctx context.Context, args ...string) (string, error) {
	if len(args) > 0 {
		return "", fmt.Errorf("create a lab: %w: arguments %q", errors.ErrUnsupported, args)
	}
	l, err := p.lab()
	if err != nil {
		return "", err
	}
	return l.Kubeconfig(), l.Up(ctx)
}

// CreateWithConfig implements support.E2EClusterProvider.
func (p *Provider) CreateWithConfig(_ context.Context, file string) (string, error) {
	return "", fmt.Errorf("create a lab from %s: %w", file, errors.ErrUnsupported)
}

// GetKubeconfig implements support.E2EClusterProvider.
func (p *Provider) GetKubeconfig() string {
	l, err := p.lab()
	if err != nil {
		return ""
	}
	return l.Kubeconfig()
}

// GenerateKubeconfig implements support.E2EClusterProvider.
func (p *Provider) GenerateKubeconfig(...string) (string, error) {
	l, err := p.lab()
	if err != nil {
		return "", err
	}
	return l.Kubeconfig(), nil
}

// GetKubectlContext implements support.E2EClusterProvider.
func (p *Provider) GetKubectlContext() string { return plane.KubectlContext }

// ExportLogs implements support.E2EClusterProvider.
func (p *Provider) ExportLogs(_ context.Context, dir string) error {
	l, err := p.lab()
	if err != nil {
		return err
	}
	return l.SaveLogs(dir, &redact.Redactor{})
}

// Destroy implements support.E2EClusterProvider.
func (p *Provider) Destroy(ctx context.Context) error {
	l, err := p.lab()
	if err != nil {
		return err
	}
	return l.Down(ctx)
}

// WaitForControlPlane implements support.E2EClusterProvider. Create returns
// when everything is ready.
func (p *Provider) WaitForControlPlane(ctx context.Context, _ klient.Client) error {
	l, err := p.lab()
	if err != nil {
		return err
	}
	return l.Status(ctx).Err()
}

// KubernetesRestConfig implements support.E2EClusterProvider. It returns nil
// while the lab is not up.
func (p *Provider) KubernetesRestConfig() *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", p.GetKubeconfig())
	if err != nil {
		return nil
	}
	return config
}

// AddNode implements support.E2EClusterProviderWithLifeCycle. A lab has the
// nodes that it was made with.
func (p *Provider) AddNode(_ context.Context, n *support.Node, _ ...string) error {
	return fmt.Errorf("add %s to a lab: %w", n.Name, errors.ErrUnsupported)
}

// RemoveNode implements support.E2EClusterProviderWithLifeCycle. A lab keeps
// the nodes that it was made with.
func (p *Provider) RemoveNode(_ context.Context, n *support.Node, _ ...string) error {
	return fmt.Errorf("remove %s from a lab: %w", n.Name, errors.ErrUnsupported)
}

// StartNode implements support.E2EClusterProviderWithLifeCycle. It returns
// when the node is ready again.
func (p *Provider) StartNode(ctx context.Context, n *support.Node, args ...string) error {
	if len(args) > 0 {
		return fmt.Errorf("start %s: %w: arguments %q", n.Name, errors.ErrUnsupported, args)
	}
	l, err := p.lab()
	if err != nil {
		return err
	}
	action := power.On
	for _, s := range l.Status(ctx).Nodes {
		if s.Name == n.Name && s.Power == vm.Paused {
			action = power.Resume
		}
	}
	return l.Power(ctx, n.Name, action)
}

// StopNode implements support.E2EClusterProviderWithLifeCycle. The argument
// says how the node stops.
func (p *Provider) StopNode(ctx context.Context, n *support.Node, args ...string) error {
	action, err := stopAction(args)
	if err != nil {
		return fmt.Errorf("stop %s: %w", n.Name, err)
	}
	l, err := p.lab()
	if err != nil {
		return err
	}
	return l.Power(ctx, n.Name, action)
}

func stopAction(args []string) (power.Action, error) {
	if len(args) == 0 {
		return power.Off, nil
	}
	switch action := power.Action(args[0]); {
	case len(args) > 1:
	case action == power.Off, action == power.Cut, action == power.Pause:
		return action, nil
	}
	return "", fmt.Errorf("%w: arguments %q: want one of %q", errors.ErrUnsupported, args, []power.Action{power.Off, power.Cut, power.Pause})
}

// ListNode implements support.E2EClusterProviderWithLifeCycle. The state of a
// node is one of package lab's.
func (p *Provider) ListNode(ctx context.Context, _ ...string) ([]support.Node, error) {
	l, err := p.lab()
	if err != nil {
		return nil, err
	}
	status := l.Status(ctx)
	nodes := make([]support.Node, len(status.Nodes))
	for i, n := range status.Nodes {
		nodes[i] = support.Node{Name: n.Name, Role: "worker", Cluster: status.Name, State: string(n.Power), IP: net.ParseIP(n.Address)}
	}
	return nodes, nil
}
