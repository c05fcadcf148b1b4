package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/bench"
	"pmem-memcached-e2e/framework/deploy"
)

// Unreached judges a connection from a client's pod to a deployment that failed, of which how is a description. The
// spec ends when a network policy may be the reason that is not the deployment's own, or that does not let in the client of the suite.
// Else it returns how, with the policies of the deployment that let nobody in.
func Unreached(ctx context.Context, e *framework.Env, d *deploy.Deployment, client *corev1.Pod, how string) string {
	closed, other, err := barriers(ctx, e, d, client)
	e.NoError(err, "find what keeps %s from %s", framework.Name("pod", client), d.Dir)
	if len(closed) == 0 && len(other) > 0 {
		e.NoError(fmt.Errorf("%s; %s", how, strings.Join(other, "; ")), "reach the Service of %s from %s", d.Dir, framework.Name("pod", client))
	}
	return strings.Join(append([]string{how}, closed...), "; ")
}

// explained adds to the error of a load the policies that may be the reason why the clients had no connection.
func explained(ctx context.Context, e *framework.Env, clients *bench.Clients, err error, deployments []*deploy.Deployment) error {
	if !strings.Contains(err.Error(), "dial ") {
		return err
	}
	var found []string
	for _, d := range deployments {
		if closed, other, failed := barriers(ctx, e, d, clients.Pod()); failed == nil {
			found = append(append(found, closed...), other...)
		}
	}
	if slices.Sort(found); len(found) > 0 {
		return fmt.Errorf("%w; %s", err, strings.Join(slices.Compact(found), "; "))
	}
	return err
}

// barriers are what may keep a client from a deployment, see [isolating].
func barriers(ctx context.Context, e *framework.Env, d *deploy.Deployment, client *corev1.Pod) (closed, other []string, err error) {
	own := func(kind, name string) bool {
		return slices.ContainsFunc(d.Objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind && o.GetName() == name })
	}
	admits := client.Namespace == d.Namespace && d.Admits(client.Labels)
	look := func(namespace string, server, client map[string]string) error {
		list, err := e.Cluster.Client.NetworkingV1().NetworkPolicies(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("list the network policies of namespace %s: %w", namespace, err)
		}
		c, o := isolating(list.Items, func(name string) bool { return own(networkPolicy, name) }, admits, server, client)
		closed, other = append(closed, c...), append(other, o...)
		return nil
	}
	if client.Namespace == d.Namespace {
		err = look(d.Namespace, d.Template().Labels, client.Labels)
	} else {
		err = errors.Join(look(d.Namespace, d.Template().Labels, nil), look(client.Namespace, nil, client.Labels))
	}
	for _, o := range d.Objects {
		if deploy.Restricts(o.GetKind()) && o.GetKind() != networkPolicy {
			other = append(other, fmt.Sprintf("%s %s of the deployment may not let the client of the suite in", o.GetKind(), o.GetName()))
		}
	}
	return closed, other, err
}

const networkPolicy = "NetworkPolicy"

// isolating returns the deployment's own policies that let nobody connect to its pods, and those that may keep the client of the
// suite from it for another reason. Its own that admit the client are no reason. Nil labels are of a pod elsewhere.
func isolating(policies []networkingv1.NetworkPolicy, own func(name string) bool, admits bool, server, client map[string]string) (closed, other []string) {
	for _, p := range policies {
		if own(p.Name) && admits {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil {
			continue
		}
		name := networkPolicy + " " + p.Name
		into := server != nil && deploy.Governs(p.Spec, networkingv1.PolicyTypeIngress) && selector.Matches(labels.Set(server))
		switch {
		case into && own(p.Name) && len(p.Spec.Ingress) == 0:
			closed = append(closed, name+" of the deployment lets nobody connect to its pods")
		case into && own(p.Name):
			other = append(other, name+" of the deployment lets some clients in, of which that of the suite may be none")
		case into:
			other = append(other, name+", which is not the deployment's, selects its pods for ingress")
		}
		if client != nil && deploy.Governs(p.Spec, networkingv1.PolicyTypeEgress) && selector.Matches(labels.Set(client)) {
			other = append(other, name+" selects the client's pod for egress")
		}
	}
	return closed, other
}
