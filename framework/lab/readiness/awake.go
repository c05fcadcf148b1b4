package readiness

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"pmem-memcached-e2e/framework/lab/topology"
	"pmem-memcached-e2e/framework/lab/vm"
	"pmem-memcached-e2e/framework/wait"
)

// AwaitAwake waits until the programs of a node answer that continues from a
// snapshot. What the API server says of them is from before.
func (c Checker) AwaitAwake(ctx context.Context, m vm.Machine) error {
	return c.Waiter.Until(ctx, wait.LabAwake, "the kubelet and the cluster's own pods of "+m.Name()+" to answer", func(ctx context.Context) (bool, string, error) {
		if err := m.Alive(); err != nil {
			return false, "", err
		}
		err := awake(ctx, c.Client, m.Node)
		return err == nil, "", err
	})
}

// awake asks the kubelet how it is, and the containers of the cluster's own
// pods what the kubelet asks them.
func awake(ctx context.Context, client kubernetes.Interface, n topology.Node) error {
	if err := client.CoreV1().RESTClient().Get().Resource("nodes").Name(n.Name()).SubResource("proxy").Suffix("healthz").Do(ctx).Error(); err != nil {
		return fmt.Errorf("kubelet: %w", err)
	}
	pods, err := systemPods(ctx, client, n.Name())
	if err != nil {
		return err
	}
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			port, path := question(c)
			if port == "" {
				continue
			}
			if _, err := client.CoreV1().Pods(p.Namespace).ProxyGet("http", p.Name, port, path, nil).DoRaw(ctx); err != nil {
				return fmt.Errorf("container %s of pod %s at port %s: %w", c.Name, p.Name, port, err)
			}
		}
	}
	return nil
}

// question returns where a container can be asked by HTTP how it is, or nothing
// if it has no such probe.
func question(c corev1.Container) (port, path string) {
	probe := cmp.Or(c.ReadinessProbe, c.StartupProbe)
	if probe == nil || probe.HTTPGet == nil {
		return "", ""
	}
	port = probe.HTTPGet.Port.String()
	if probe.HTTPGet.Port.Type == intstr.String {
		for _, named := range c.Ports {
			if named.Name == port {
				port = fmt.Sprint(named.ContainerPort)
			}
		}
	}
	return port, strings.TrimPrefix(probe.HTTPGet.Path, "/")
}
