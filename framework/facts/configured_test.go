package facts

import (
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

func TestGiven(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		provider          string
		disruptive        *bool
		disruption, power spec.Support
	}{
		{config.Lab, nil, spec.Support{Supported: true, Evidence: "DISRUPTIVE, or its default for the provider lab, allows it"}, spec.Support{Supported: true, Evidence: "the provider lab switches its nodes"}},
		{config.Lab, &no, spec.Support{Evidence: "DISRUPTIVE, or its default for the provider lab, forbids it"}, spec.Support{Supported: true, Evidence: "the provider lab switches its nodes"}},
		{config.Existing, nil, spec.Support{Evidence: "DISRUPTIVE, or its default for the provider existing, forbids it"}, spec.Support{Evidence: "the provider existing cannot switch nodes"}},
		{config.Existing, &yes, spec.Support{Supported: true, Evidence: "DISRUPTIVE, or its default for the provider existing, allows it"}, spec.Support{Evidence: "the provider existing cannot switch nodes"}},
	} {
		f := Found{Features: map[spec.Feature]spec.Support{}}
		f.Given(config.Config{Cluster: config.Cluster{Provider: c.provider}, Rules: config.Rules{Disruptive: c.disruptive}})
		if f.Features[spec.Disruption] != c.disruption || f.Features[spec.NodePower] != c.power {
			t.Errorf("%s: got %+v", c.provider, f.Features)
		}
	}
}
