package traffic

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
)

// Unreached judges a connection from a client's pod to a deployment that failed, of which how is a description. The
// spec ends when a network policy may be the reason that is not the deployment's own, or lets in clients other than that of the suite.
// Else it returns how, with the policies of the deployment that let nobody in.
func Unreached(ctx context.Context, e *framework.Env, d *deploy.Deployment, client *corev1.Pod, how string) string {
	list, err := e.Cluster.Client.NetworkingV1().NetworkPolicies(d.Namespace).List(ctx, metav1.ListOptions{})
	e.NoError(err, "list the network policies of namespace %s", d.Namespace)
	own := func(name string) bool {
		for _, o := range d.Objects {
			if o.GetKind() == "NetworkPolicy" && o.GetName() == name {
				return true
			}
		}
		return false
	}
	closed, other := isolating(list.Items, own, d.Template().Labels, client.Labels)
	if len(closed) == 0 && len(other) > 0 {
		e.NoError(fmt.Errorf("%s; %s", how, strings.Join(other, "; ")), "reach the Service of %s from %s", d.Dir, framework.Name("pod", client))
	}
	return strings.Join(append([]string{how}, closed...), "; ")
}

// isolating returns the deployment's own policies that let nobody connect to its pods, and those that may keep the client of the
// suite from it for another reason.
func isolating(policies []networkingv1.NetworkPolicy, own func(name string) bool, server, client map[string]string) (closed, other []string) {
	for _, p := range policies {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil {
			continue
		}
		types := p.Spec.PolicyTypes
		if len(types) == 0 {
			types = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if len(p.Spec.Egress) > 0 {
				types = append(types, networkingv1.PolicyTypeEgress)
			}
		}
		name := "NetworkPolicy " + p.Name
		into := slices.Contains(types, networkingv1.PolicyTypeIngress) && selector.Matches(labels.Set(server))
		switch {
		case into && own(p.Name) && len(p.Spec.Ingress) == 0:
			closed = append(closed, name+" of the deployment lets nobody connect to its pods")
		case into && own(p.Name):
			other = append(other, name+" of the deployment lets some clients in, of which that of the suite may be none")
		case into:
			other = append(other, name+", which is not the deployment's, selects its pods for ingress")
		}
		if slices.Contains(types, networkingv1.PolicyTypeEgress) && selector.Matches(labels.Set(client)) {
			other = append(other, name+" selects the client's pod for egress")
		}
	}
	return closed, other
}
