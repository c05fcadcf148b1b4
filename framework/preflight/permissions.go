package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rule is what the suite does with one kind of object, somewhere.
type rule struct {
	group    string
	resource string // with its subresource
	verbs    string
}

func (r rule) String() string {
	if r.group == "" {
		return r.resource
	}
	resource, subresource, found := strings.Cut(r.resource, "/")
	if found {
		subresource = "/" + subresource
	}
	return resource + "." + r.group + subresource
}

// needed are the permissions without which specs or these checks cannot run. Those
// for the objects of the manifests come on top.
var needed = []rule{
	{"", "namespaces", "get create delete patch"},
	{"", "serviceaccounts", "get"},
	{"", "pods", "get list create delete"},
	{"", "pods/attach", "create"},
	{"", "pods/exec", "create"}, // a refused WebSocket falls back to SPDY, which is a POST
	{"", "pods/log", "get"},
	{"", "pods/portforward", "create"},
	{"", "services", "get"},
	{"", "events", "list"},
	{"", "persistentvolumeclaims", "get list create delete patch"},
	{"", "persistentvolumes", "get"},
	{"apps", "deployments", "get patch"},
	{"apps", "deployments/scale", "patch"},
	{"apps", "replicasets", "list"},
	{"apps", "statefulsets", "get patch"},
	{"apps", "statefulsets/scale", "patch"},
	{"batch", "jobs", "get create delete"},
	{"discovery.k8s.io", "endpointslices", "list"},
	{"storage.k8s.io", "csidrivers", "get"},
	{"storage.k8s.io", "csinodes", "get list"},
	{"storage.k8s.io", "storageclasses", "get list create delete patch"},
}

// disruptive are the permissions that specs need besides where they may put nodes
// out of use.
var disruptive = []rule{
	{"", "nodes", "get patch"},
	{"", "nodes/proxy", "get"}, // how a kubelet is configured for the shutdown of its node
	{"", "pods/eviction", "create"},
	{"apps", "daemonsets", "get"}, // a drain passes over the pods of those that exist
}

// useful are the permissions without which leaks of these kinds go unseen, and facts
// and evidence are thinner. Package leak reports what it could not compare.
var useful = []rule{
	{"", "namespaces", "list"},
	{"", "nodes", "get list"},
	{"", "pods/proxy", "get"}, // the driver's metrics
	{"", "pods", "watch"},     // which commands in them and their number are about
	{"", "services", "list"},
	{"", "configmaps", "list"},
	{"", "secrets", "list"},
	{"", "serviceaccounts", "list"},
	{"", "resourcequotas", "list"},
	{"", "limitranges", "list"},
	{"", "replicationcontrollers", "list"},
	{"", "persistentvolumes", "list"},
	{"", "namespaces", "watch"}, // waits look less often at what is watched
	{"", "events", "watch"},
	{"apps", "deployments", "watch"},
	{"apps", "statefulsets", "watch"},
	{"apps", "controllerrevisions", "list"},
	{"apps", "daemonsets", "list"},
	{"apps", "deployments", "list"},
	{"apps", "statefulsets", "list"},
	{"batch", "jobs", "list"},
	{"batch", "cronjobs", "list"},
	{"policy", "poddisruptionbudgets", "list"},
	{"networking.k8s.io", "networkpolicies", "list"},
	{"networking.k8s.io", "ingresses", "list"},
	{"rbac.authorization.k8s.io", "roles", "list"},
	{"rbac.authorization.k8s.io", "rolebindings", "list"},
	{"rbac.authorization.k8s.io", "clusterroles", "list"},
	{"rbac.authorization.k8s.io", "clusterrolebindings", "list"},
	{"scheduling.k8s.io", "priorityclasses", "list"},
	{"apiextensions.k8s.io", "customresourcedefinitions", "list"},
	{"admissionregistration.k8s.io", "validatingwebhookconfigurations", "list"},
	{"admissionregistration.k8s.io", "mutatingwebhookconfigurations", "list"},
	{"storage.k8s.io", "csidrivers", "list"},
	{"storage.k8s.io", "csistoragecapacities", "list"},
	{"storage.k8s.io", "volumeattachments", "list"},
}

// ofManifests are the permissions to make, see and remove what the manifests hold.
func ofManifests(s Subject) []rule {
	var rules []rule
	for _, m := range s.Manifests {
		for _, o := range m.Objects {
			resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
			r := rule{resource.Group, resource.Resource, "get create delete"}
			if o.GetKind() == "ServiceAccount" && o.GetName() == "default" {
				r.verbs += " patch" // every namespace has it already
			}
			if !slices.Contains(rules, r) {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

type permission struct {
	schema.GroupResource
	subresource, verb string
}

func spread(rules []rule) []permission {
	var permissions []permission
	for _, r := range rules {
		resource, subresource, _ := strings.Cut(r.resource, "/")
		for verb := range strings.FieldsSeq(r.verbs) {
			one := permission{schema.GroupResource{Group: r.group, Resource: resource}, subresource, verb}
			if !slices.Contains(permissions, one) {
				permissions = append(permissions, one)
			}
		}
	}
	return permissions
}

// gather is the reverse of spread.
func gather(permissions []permission) []rule {
	var rules []rule
	for _, one := range permissions {
		r := rule{one.Group, one.Resource, one.verb}
		if one.subresource != "" {
			r.resource += "/" + one.subresource
		}
		i := slices.IndexFunc(rules, func(o rule) bool { return o.group == r.group && o.resource == r.resource })
		if i < 0 {
			rules = append(rules, r)
		} else {
			rules[i].verbs += " " + one.verb
		}
	}
	return rules
}

func list(rules []rule) string {
	var words []string
	for _, r := range rules {
		words = append(words, strings.Join(strings.Fields(r.verbs), "/")+" "+r.String())
	}
	return strings.Join(words, ", ")
}

// snippet is the list of rules of a ClusterRole, in YAML on one line.
func snippet(rules []rule) string {
	var items []string
	for _, r := range rules {
		items = append(items, fmt.Sprintf(`{apiGroups: [%q], resources: [%s], verbs: [%s]}`,
			r.group, r.resource, strings.Join(strings.Fields(r.verbs), ", ")))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// checkPermissions asks the API server about every permission, in all namespaces.
func checkPermissions(ctx context.Context, s Subject) finding {
	rules := slices.Concat(needed, ofManifests(s))
	if s.Disruptive {
		rules = append(rules, disruptive...)
	}
	must := spread(rules)
	may := slices.DeleteFunc(spread(useful), func(r permission) bool { return slices.Contains(must, r) })
	refused, err := ask(ctx, s, slices.Concat(must, may))
	if err != nil {
		return unknown("let the user of the kubeconfig create selfsubjectaccessreviews.authorization.k8s.io", "%v", err)
	}
	missing := gather(slices.DeleteFunc(slices.Clone(must), func(r permission) bool { return !slices.Contains(refused, r) }))
	blind := gather(slices.DeleteFunc(slices.Clone(may), func(r permission) bool { return !slices.Contains(refused, r) }))
	switch {
	case len(missing) > 0:
		return failed("give the user of the kubeconfig a ClusterRole with these rules: "+snippet(missing), "missing in all namespaces: %s", list(missing))
	case len(blind) > 0:
		return passed("all %d permissions that specs need; some leaks, facts and evidence will be missed without: %s", len(must), list(blind))
	}
	return passed("all %d permissions that specs, leak detection and evidence need", len(must)+len(may))
}

// ask returns the permissions that the user does not have.
func ask(ctx context.Context, s Subject, permissions []permission) ([]permission, error) {
	allowed, errs := make([]bool, len(permissions)), make([]error, len(permissions))
	var asking sync.WaitGroup
	for i, r := range permissions {
		asking.Go(func() {
			review, err := s.Cluster.Client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Group: r.Group, Resource: r.Resource, Subresource: r.subresource, Verb: r.verb,
				}},
			}, metav1.CreateOptions{})
			if err != nil {
				errs[i] = fmt.Errorf("ask for the permission to %s: %w", list(gather([]permission{r})), err)
				return
			}
			allowed[i] = review.Status.Allowed
		})
	}
	asking.Wait()
	var refused []permission
	for i, r := range permissions {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if !allowed[i] {
			refused = append(refused, r)
		}
	}
	return refused, nil
}
