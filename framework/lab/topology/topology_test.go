package topology

import "testing"

// What nodes must not share, they do not share.
func TestNodesDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, n := range Nodes(MaxNodes) {
		for _, own := range []string{n.Name(), n.Address(), n.PodRange(), n.Tap(), n.MAC()} {
			if other, taken := seen[own]; taken {
				t.Errorf("%s and %s both have %s", other, n.Name(), own)
			}
			seen[own] = n.Name()
		}
		// IFNAMSIZ of Linux.
		if len(n.Tap()) > 15 {
			t.Errorf("%s is too long for an interface", n.Tap())
		}
	}
}
