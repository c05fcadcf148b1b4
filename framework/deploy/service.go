package deploy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const servicePortName = "db" // the name in PMEM-CSI's documented example

// A candidate is a Service that selects the pods of the workload.
type candidate struct {
	service corev1.Service
	port    corev1.ServicePort
	err     error // why none of its ports is memcached's
}

// findService chooses the Service for clients among those that select the pods: one with a port that
// leads to memcached before others, one with an address before a headless one, such as the one that
// governs a StatefulSet, one within the cluster before others, and then the one with the workload's name.
func (m *Manifest) findService() error {
	var found []candidate
	for _, o := range m.Objects {
		if gk := o.GroupVersionKind().GroupKind(); gk.Group != "" || gk.Kind != "Service" || o.GetNamespace() != m.Namespace {
			continue
		}
		var s corev1.Service
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &s); err != nil {
			return fmt.Errorf("service %s: %w", o.GetName(), err)
		}
		if len(s.Spec.Selector) == 0 || !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(m.template.Labels)) {
			continue
		}
		port, err := m.choosePort(s.Spec.Ports)
		found = append(found, candidate{s, port, err})
	}
	if len(found) == 0 {
		return fmt.Errorf("no Service selects the pods of %s/%s, labels %s; add one", m.Kind, m.Name, labels.Set(m.template.Labels))
	}
	best := slices.MinFunc(found, func(a, b candidate) int {
		return cmp.Or(slices.Compare(m.rank(a), m.rank(b)), strings.Compare(a.service.Name, b.service.Name))
	})
	if best.err != nil {
		return fmt.Errorf("service %s: %w", best.service.Name, best.err)
	}
	m.Service, m.ServicePort = best.service.Name, int(best.port.Port)
	return nil
}

// rank is lower for a Service that is more likely the one for clients.
func (m *Manifest) rank(c candidate) []int {
	var rank []int
	for _, yes := range []bool{
		c.err == nil,
		m.leadsToMemcached(c.port),
		c.service.Spec.ClusterIP != corev1.ClusterIPNone,
		c.service.Spec.Type == "" || c.service.Spec.Type == corev1.ServiceTypeClusterIP,
		c.service.Name == m.Name,
	} {
		n := 1
		if yes {
			n = 0
		}
		rank = append(rank, n)
	}
	return rank
}

// choosePort prefers the port named db, then one that leads to memcached, then memcached's registered
// port. Ports of UDP are not for the clients of the suite.
func (m *Manifest) choosePort(all []corev1.ServicePort) (corev1.ServicePort, error) {
	ports := slices.DeleteFunc(slices.Clone(all), func(p corev1.ServicePort) bool { return p.Protocol != "" && p.Protocol != corev1.ProtocolTCP })
	if len(ports) == 1 {
		return ports[0], nil
	}
	for _, prefer := range []func(corev1.ServicePort) bool{
		func(p corev1.ServicePort) bool { return p.Name == servicePortName },
		m.leadsToMemcached,
		func(p corev1.ServicePort) bool { return p.Port == defaultPort },
	} {
		if i := slices.IndexFunc(ports, prefer); i >= 0 {
			return ports[i], nil
		}
	}
	if len(ports) == 0 {
		return corev1.ServicePort{}, errors.New("it has no port of TCP, by which memcached is reached; add one")
	}
	var have []string
	for _, p := range ports {
		have = append(have, strings.TrimSpace(fmt.Sprintf("%d %s", p.Port, p.Name)))
	}
	return corev1.ServicePort{}, fmt.Errorf("cannot tell memcached's port among %q; name it %q or let its targetPort be a port of the container %q", have, servicePortName, Container)
}

// leadsToMemcached reports whether a port of a Service leads to where memcached listens.
func (m *Manifest) leadsToMemcached(p corev1.ServicePort) bool {
	target, c := p.TargetPort, MemcachedContainer(m.template.Spec)
	if target.Type == intstr.Int {
		n := target.IntVal
		if n == 0 {
			n = p.Port
		}
		return int(n) == listensOn(c, m.value)
	}
	return slices.ContainsFunc(c.Ports, func(of corev1.ContainerPort) bool {
		return of.Name == target.StrVal && int(of.ContainerPort) == listensOn(c, m.value)
	})
}
