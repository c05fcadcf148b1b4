package deploy

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// ClientLabels are labels for a client in the namespace of the deployment: own, changed as the network policies of the
// kustomization demand of pods that connect to memcached. They are own when that is enough, or when no labels let such a client in.
func (m *Manifest) ClientLabels(own map[string]string) map[string]string {
	p := m.policies()
	for _, candidate := range p.candidates(own) {
		if p.admit(candidate) && !m.selected(candidate) {
			return candidate
		}
	}
	return own
}

// Admits reports whether the network policies of the kustomization let a pod of the deployment's namespace that has the labels connect to
// memcached.
func (m *Manifest) Admits(client map[string]string) bool { return m.policies().admit(client) }

// selected reports whether a Service, the workload or a disruption budget would take a pod with the labels for one of the deployment's.
func (m *Manifest) selected(pod map[string]string) bool {
	return slices.ContainsFunc(m.selectors(), func(s labels.Selector) bool { return s.Matches(labels.Set(pod)) })
}

// policies are what the network policies of a deployment depend on.
type policies struct {
	list      []networkingv1.NetworkPolicySpec
	server    map[string]string // labels of the deployment's pods
	namespace map[string]string // labels of the namespace of all
	port      int32             // where memcached listens
	ports     []corev1.ContainerPort
}

func (m *Manifest) policies() policies {
	c := MemcachedContainer(m.template.Spec)
	p := policies{server: m.template.Labels, port: int32(listensOn(c, m.value)), ports: c.Ports}
	p.namespace = map[string]string{corev1.LabelMetadataName: m.Namespace}
	maps.Copy(p.namespace, m.Home.Labels)
	for _, o := range m.Objects {
		var policy networkingv1.NetworkPolicy
		if o.GetKind() != "NetworkPolicy" || o.GroupVersionKind().Group != networkingv1.GroupName || o.GetNamespace() != m.Namespace ||
			runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &policy) != nil {
			continue
		}
		p.list = append(p.list, policy.Spec)
	}
	return p
}

// admit reports whether the policies let a client with the labels connect to memcached. A pod that no policy selects for a direction is
// open in it, and of those that select it one has to allow the connection.
func (p policies) admit(client map[string]string) bool {
	into, inRules, out, outRules := false, false, false, false
	for _, policy := range p.list {
		if matches(&policy.PodSelector, p.server) && Governs(policy, networkingv1.PolicyTypeIngress) {
			into = true
			inRules = inRules || slices.ContainsFunc(policy.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
				return p.toPort(r.Ports) && p.peers(r.From, client)
			})
		}
		if matches(&policy.PodSelector, client) && Governs(policy, networkingv1.PolicyTypeEgress) {
			out = true
			outRules = outRules || slices.ContainsFunc(policy.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
				return p.toPort(r.Ports) && p.peers(r.To, p.server)
			})
		}
	}
	return (!into || inRules) && (!out || outRules)
}

// Governs reports whether a policy restricts a direction.
func Governs(policy networkingv1.NetworkPolicySpec, direction networkingv1.PolicyType) bool {
	if len(policy.PolicyTypes) > 0 {
		return slices.Contains(policy.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(policy.Egress) > 0
}

// candidates are labels that a client may need: own, those that a rule asks for, and each of them with those that a policy about outgoing
// connections asks for.
func (p policies) candidates(own map[string]string) []map[string]string {
	all := []map[string]string{own}
	for _, policy := range p.list {
		for _, rule := range policy.Ingress {
			for _, peer := range rule.From {
				if peer.PodSelector == nil {
					continue
				}
				if l, ok := satisfy(peer.PodSelector, own); ok {
					all = append(all, l)
				}
			}
		}
	}
	for _, candidate := range slices.Clone(all) {
		for _, policy := range p.list {
			if len(policy.Egress) == 0 {
				continue
			}
			if l, ok := satisfy(&policy.PodSelector, candidate); ok {
				all = append(all, l)
			}
		}
	}
	return all
}

// satisfy returns labels that a selector matches, which differ from own as little as it wants.
func satisfy(selector *metav1.LabelSelector, own map[string]string) (map[string]string, bool) {
	result := maps.Clone(own)
	if result == nil {
		result = map[string]string{}
	}
	maps.Copy(result, selector.MatchLabels)
	for _, e := range selector.MatchExpressions {
		value, has := result[e.Key]
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			if !slices.Contains(e.Values, value) && len(e.Values) > 0 {
				result[e.Key] = e.Values[0]
			}
		case metav1.LabelSelectorOpExists:
			if !has {
				result[e.Key] = owner
			}
		case metav1.LabelSelectorOpNotIn:
			if slices.Contains(e.Values, value) {
				delete(result, e.Key)
			}
		case metav1.LabelSelectorOpDoesNotExist:
			delete(result, e.Key)
		}
	}
	return result, matches(selector, result)
}

func matches(selector *metav1.LabelSelector, of map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(of))
}

// peers reports whether a pod with the labels, in the namespace of the deployment, is among the peers of a rule. Of a block of addresses
// only one that is all of them is known to hold its own.
func (p policies) peers(list []networkingv1.NetworkPolicyPeer, pod map[string]string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(peer networkingv1.NetworkPolicyPeer) bool {
		if block := peer.IPBlock; block != nil {
			prefix, err := netip.ParsePrefix(block.CIDR)
			return err == nil && prefix.Bits() == 0 && len(block.Except) == 0
		}
		return (peer.NamespaceSelector == nil || matches(peer.NamespaceSelector, p.namespace)) &&
			(peer.PodSelector == nil || matches(peer.PodSelector, pod))
	})
}

// toPort reports whether memcached's port is among those of a rule.
func (p policies) toPort(list []networkingv1.NetworkPolicyPort) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(rule networkingv1.NetworkPolicyPort) bool {
		if ptr.Deref(rule.Protocol, corev1.ProtocolTCP) != corev1.ProtocolTCP {
			return false
		}
		if rule.Port == nil {
			return true
		}
		if name := rule.Port.StrVal; name != "" {
			return slices.ContainsFunc(p.ports, func(c corev1.ContainerPort) bool { return c.Name == name && c.ContainerPort == p.port })
		}
		return rule.Port.IntVal <= p.port && p.port <= ptr.Deref(rule.EndPort, rule.Port.IntVal)
	})
}

// WithoutPolicies leaves out what restricts who may connect to the pods, and returns its names.
func (m *Manifest) WithoutPolicies() (names []string) {
	m.Objects = slices.DeleteFunc(slices.Clone(m.Objects), func(o *unstructured.Unstructured) bool {
		if !Restricts(o.GetKind()) {
			return false
		}
		names = append(names, o.GetKind()+" "+o.GetName())
		return true
	})
	return names
}

// Restricts reports whether objects of a kind restrict connections to pods.
func Restricts(kind string) bool { return slices.Contains(restricting, kind) }

// restricting are the kinds of Kubernetes, Cilium, Calico and Istio.
var restricting = []string{"NetworkPolicy", "CiliumNetworkPolicy", "GlobalNetworkPolicy", "CiliumClusterwideNetworkPolicy", "AuthorizationPolicy", "PeerAuthentication"}
