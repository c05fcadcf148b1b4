package facts

import (
	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/spec"
)

// Given decides about what nothing on the cluster shows: whether specs may put
// nodes and the driver out of use for a while, and whether they can switch
// nodes off, and have another release of memcached.
func (f *Found) Given(c config.Config) {
	disruption := spec.Support{Supported: c.MayDisrupt(), Evidence: "DISRUPTIVE, or its default for the provider " + c.Cluster.Provider + ", forbids it"}
	if disruption.Supported {
		disruption.Evidence = "DISRUPTIVE, or its default for the provider " + c.Cluster.Provider + ", allows it"
	}
	f.Features[spec.Disruption] = disruption
	power := spec.Support{Supported: c.Cluster.Provider == config.Lab, Evidence: "the provider " + c.Cluster.Provider + " cannot switch nodes"}
	if power.Supported {
		power.Evidence = "the provider " + c.Cluster.Provider + " switches its nodes"
	}
	f.Features[spec.NodePower] = power
	other := spec.Support{Supported: c.Deploy.OtherImage != "", Evidence: "no image of another release of memcached is given; OTHER_MEMCACHED_IMAGE, or on the lab a second version in LAB_MEMCACHED, does that"}
	if other.Supported {
		other.Evidence = "image " + c.Deploy.OtherImage
	}
	f.Features[spec.OtherMemcached] = other
}
