package facts

import (
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

// powerless is why nothing switches the nodes of a provider.
func powerless(provider string) string {
	if provider == config.Kind {
		return "the nodes of the provider kind are containers of one machine, and share its kernel and its power"
	}
	return "the provider " + provider + " cannot switch nodes"
}

// Given decides about what nothing on the cluster shows: whether specs may
// disrupt nodes and the driver for a while, whether they can switch nodes off,
// and whether they have another release of memcached.
func (f *Found) Given(c config.Config) {
	decide := func(feature spec.Feature, supported bool, evidence string, otherwise spec.Support) {
		if supported {
			otherwise = spec.Support{Presence: spec.Supported, Evidence: evidence}
		}
		f.Features[feature] = otherwise
	}
	provider := c.Cluster.Provider
	decide(spec.Disruption, c.MayDisrupt(), "DISRUPTIVE, or its default for the provider "+provider+", allows it", spec.Support{
		Presence: spec.Unseen, Evidence: "DISRUPTIVE, or its default for the provider " + provider + ", does not allow it",
		Remedy: "set DISRUPTIVE=1 if nodes and the driver may be disrupted for a while"})
	decide(spec.NodePower, provider == config.Lab, "the provider "+provider+" switches its nodes", spec.Support{
		Presence: spec.Absent, Evidence: powerless(provider)})
	decide(spec.OtherMemcached, c.Deploy.OtherImage != "", "image "+c.Deploy.OtherImage, spec.Support{
		Presence: spec.Unseen, Evidence: "no image of another release of memcached is given",
		Remedy: "set OTHER_MEMCACHED_IMAGE, or on the lab give LAB_MEMCACHED a second version"})
}
