package traffic

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestIsolating has network policies next to a deployment that the suite's client does not reach.
func TestIsolating(t *testing.T) {
	policy := func(name string, selected map[string]string, rules int, types ...networkingv1.PolicyType) networkingv1.NetworkPolicy {
		return networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: selected}, Ingress: make([]networkingv1.NetworkPolicyIngressRule, rules), PolicyTypes: types}}
	}
	server, client := map[string]string{"app": "cache"}, map[string]string{"suite": "yes"}
	for name, tt := range map[string]struct {
		policy        networkingv1.NetworkPolicy
		closed, other string
	}{
		"default deny by others":          {policy("default-deny", nil, 0, networkingv1.PolicyTypeIngress), "", "NetworkPolicy default-deny, which is not the deployment's, selects its pods for ingress"},
		"without types it is for ingress": {policy("default-deny", nil, 0), "", "selects its pods for ingress"},
		"egress of the client":            {policy("no-egress", client, 0, networkingv1.PolicyTypeEgress), "", "NetworkPolicy no-egress selects the client's pod for egress"},
		"its own lets nobody in":          {policy("own", server, 0), "NetworkPolicy own of the deployment lets nobody connect", ""},
		"its own lets some in":            {policy("own", server, 1), "", "of which that of the suite may be none"},
		"of other pods":                   {policy("elsewhere", map[string]string{"app": "web"}, 0), "", ""},
		"egress of the cache alone":       {policy("cache-egress", server, 0, networkingv1.PolicyTypeEgress), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			closed, other := isolating([]networkingv1.NetworkPolicy{tt.policy}, func(name string) bool { return name == "own" }, false, server, client)
			for _, part := range []struct {
				got  []string
				want string
			}{{closed, tt.closed}, {other, tt.other}} {
				got := strings.Join(part.got, "; ")
				if !strings.Contains(got, part.want) || (got == "") != (part.want == "") {
					t.Errorf("got %q, want %q", got, part.want)
				}
			}
		})
	}
	all := []networkingv1.NetworkPolicy{policy("own", server, 1), policy("own", nil, 0, networkingv1.PolicyTypeEgress), policy("default-deny", nil, 0)}
	own := func(name string) bool { return name == "own" }
	if closed, other := isolating(all, own, true, server, client); len(closed) > 0 || len(other) != 1 || !strings.HasPrefix(other[0], "NetworkPolicy default-deny, ") {
		t.Errorf("its own admit the client: %q, %q, want that of others only", closed, other)
	}
	if closed, other := isolating(all, own, false, nil, client); len(closed) > 0 || strings.Join(other, "") != "NetworkPolicy own selects the client's pod for egress" {
		t.Errorf("where only the client is: %q, %q", closed, other)
	}
	if _, other := isolating(all[1:2], own, false, server, nil); len(other) > 0 {
		t.Errorf("where only the server is: %q", other)
	}
}
