package topology

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

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

func TestEach(t *testing.T) {
	err := Each(t.Context(), Nodes(4), func(_ context.Context, n Node) error {
		if n == 3 {
			return errors.New("no power")
		}
		return nil
	})
	if got := fmt.Sprint(err); got != "node3: no power" {
		t.Errorf("got %q", got)
	}
}
