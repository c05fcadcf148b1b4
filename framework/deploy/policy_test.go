package deploy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/deploy/deploytest"
)

// policyText is a network policy with a spec in one line.
func policyText(name, spec string) string {
	return fmt.Sprintf("---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s}\nspec: %s\n", name, spec)
}

// TestClientLabels has network policies as people write them next to a deployment, and the labels with which a client is let in.
func TestClientLabels(t *testing.T) {
	const (
		ofRole   = `{podSelector: {matchLabels: {app: cache}}, ingress: [{from: [{podSelector: {matchLabels: {role: web}}}], ports: [{port: 11211}]}]}`
		denied   = `{podSelector: {}, policyTypes: [Ingress, Egress]}`
		outgoing = `{podSelector: {matchLabels: {cache-client: "true"}}, egress: [{to: [{podSelector: {matchLabels: {app: cache}}}]}]}`
	)
	own := map[string]string{"app": "suite", "team": "a"}
	for name, tt := range map[string]struct {
		specs  []string
		want   string // what is added to own, and removed with a -
		admits bool
	}{
		"none":                               {nil, "", true},
		"of other pods":                      {[]string{`{podSelector: {matchLabels: {app: web}}}`}, "", true},
		"nobody":                             {[]string{`{podSelector: {matchLabels: {app: cache}}}`}, "", false},
		"everybody":                          {[]string{`{podSelector: {}, ingress: [{}]}`}, "", true},
		"every pod of the namespace":         {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`}, "", true},
		"a role":                             {[]string{ofRole}, "role=web", true},
		"a role in addition to default deny": {[]string{denied, ofRole}, "", false},
		"a role, and one to go out":          {[]string{denied, ofRole, outgoing}, "role=web cache-client=true", true},
		"a role of several":                  {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: role, operator: In, values: [api, web]}]}}]}]}`}, "role=api", true},
		"a key that exists":                  {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: client, operator: Exists}]}}]}]}`}, "client=pmem-memcached-e2e", true},
		"a key that does not":                {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]}`}, "-team", true},
		"of another value":                   {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}]}]}`}, "-team", true},
		"the cache itself":                   {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: cache}}}]}]}`}, "", false},
		"the second rule":                    {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 9150}]}, {from: [{podSelector: {matchLabels: {c: d}}}], ports: [{port: 11000, endPort: 12000}]}]}`}, "c=d", true},
		"a port by name":                     {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {c: d}}}], ports: [{port: pmem}]}]}`}, "", false},
		"another protocol":                   {[]string{`{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}`}, "", false},
		"its namespace":                      {[]string{`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: n}}}]}]}`}, "", true},
		"another namespace":                  {[]string{`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: web}}, podSelector: {matchLabels: {role: web}}}]}]}`}, "", false},
		"all addresses":                      {[]string{`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}`}, "", true},
		"some addresses":                     {[]string{`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}`}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			text := deploytest.Inline
			for i, spec := range tt.specs {
				text += policyText(fmt.Sprintf("policy-%d", i), spec)
			}
			m, err := deploytest.Load(t, "server", text).In("n")
			if err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(own)
			for change := range strings.FieldsSeq(tt.want) {
				if key, removed := strings.CutPrefix(change, "-"); removed {
					delete(want, key)
				} else {
					key, value, _ := strings.Cut(change, "=")
					want[key] = value
				}
			}
			got := m.ClientLabels(own)
			if !maps.Equal(got, want) || m.Admits(got) != tt.admits {
				t.Errorf("labels %v, admitted %t, want %v, %t", got, m.Admits(got), want, tt.admits)
			}
		})
	}
}

func TestWithoutPolicies(t *testing.T) {
	m := deploytest.Load(t, "server", deploytest.Inline+policyText("closed", "{podSelector: {}}")+
		"---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: l7}\nspec: {}\n")
	before := len(m.Objects)
	if got, want := m.WithoutPolicies(), []string{"NetworkPolicy closed", "CiliumNetworkPolicy l7"}; len(got) != 2 || !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) {
		t.Errorf("left out %q, want %q", got, want)
	}
	if len(m.Objects) != before-2 || slices.ContainsFunc(m.Objects, func(o *unstructured.Unstructured) bool { return deploy.Restricts(o.GetKind()) }) {
		t.Errorf("%d of %d objects are left", len(m.Objects), before)
	}
}
