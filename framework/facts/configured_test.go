package facts

import (
	"testing"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

func TestGiven(t *testing.T) {
	yes, no := true, false
	powered := spec.Support{Presence: spec.Supported, Evidence: "the provider lab switches its nodes"}
	powerless := spec.Support{Presence: spec.Absent, Evidence: "the provider existing cannot switch nodes"}
	withheld := func(provider string) spec.Support {
		return spec.Support{Presence: spec.Unseen, Evidence: "DISRUPTIVE, or its default for the provider " + provider + ", does not allow it",
			Remedy: "set DISRUPTIVE=1 if nodes and the driver may be disrupted for a while"}
	}
	for _, c := range []struct {
		provider          string
		disruptive        *bool
		disruption, power spec.Support
	}{
		{config.Lab, nil, spec.Support{Presence: spec.Supported, Evidence: "DISRUPTIVE, or its default for the provider lab, allows it"}, powered},
		{config.Lab, &no, withheld(config.Lab), powered},
		{config.Kind, nil, spec.Support{Presence: spec.Supported, Evidence: "DISRUPTIVE, or its default for the provider kind, allows it"},
			spec.Support{Presence: spec.Absent, Evidence: "the nodes of the provider kind are containers of one machine, and share its kernel and its power"}},
		{config.Existing, nil, withheld(config.Existing), powerless},
		{config.Existing, &yes, spec.Support{Presence: spec.Supported, Evidence: "DISRUPTIVE, or its default for the provider existing, allows it"}, powerless},
	} {
		f := Found{Features: map[spec.Feature]spec.Support{}}
		f.Given(config.Config{Cluster: config.Cluster{Provider: c.provider}, Rules: config.Rules{Disruptive: c.disruptive}})
		if f.Features[spec.Disruption] != c.disruption || f.Features[spec.NodePower] != c.power {
			t.Errorf("%s: got %+v", c.provider, f.Features)
		}
	}
	for image, want := range map[string]spec.Presence{"": spec.Unseen, "memcached:1.6.18": spec.Supported} {
		f := Found{Features: map[spec.Feature]spec.Support{}}
		f.Given(config.Config{Deploy: config.Deploy{OtherImage: image}})
		if got := f.Features[spec.OtherMemcached]; got.Presence != want {
			t.Errorf("other image %q: got %+v, want %s", image, got, want)
		}
	}
}
