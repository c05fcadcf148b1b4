package placement

import (
	"strings"
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/pmem"
)

// TestPublishedFor has a driver that publishes less than it has by a constant, and one that publishes nothing for a node.
func TestPublishedFor(t *testing.T) {
	published := func(class, node string, bytes int64) storagev1.CSIStorageCapacity {
		return storagev1.CSIStorageCapacity{StorageClassName: class, Capacity: resource.NewQuantity(bytes, resource.BinarySI),
			NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{"driver.example/node": node}}}
	}
	free := FreeIn([]pmem.VolumeGroup{{Name: "ndbus0region0fsdax", Size: 100, Free: 60}, {Name: "ndbus0region1fsdax", Size: 100, Free: 30}, {Name: "system", Free: 1000}})
	if free != 90 {
		t.Errorf("%d bytes are free, want 90", free)
	}
	all := []storagev1.CSIStorageCapacity{published("late", "node-1", 90), published("late", "node-2", 89), published("soon", "node-3", 90)}
	for node, right := range map[string]bool{"node-1": true, "node-2": false, "node-3": false} {
		if got := PublishedFor(all, "late", node); (got == free) != right {
			t.Errorf("%s: %d bytes are published, %d are free: right is %t", node, got, free, right)
		}
	}
}

// TestComparison follows nodes on which other tenants make and remove volumes.
func TestComparison(t *testing.T) {
	at := func(published, free int64, volumes ...string) Moment {
		return Moment{Published: map[string]int64{"node-1": published}, Free: map[string]int64{"node-1": free}, Volumes: volumes}
	}
	for _, tt := range []struct {
		name    string
		moments []Moment
		same    bool   // at the last one
		others  string // what is said about them
	}{
		{"at once", []Moment{at(90, 90)}, true, ""},
		{"after a delay", []Moment{at(90, 80, "node-1/own"), at(80, 80, "node-1/own")}, true, ""},
		{"off by a constant", []Moment{at(89, 90), at(89, 90)}, false, ""},
		{"never follows the spec's own volume", []Moment{at(90, 80, "node-1/own"), at(90, 80, "node-1/own")}, false, ""},
		{"behind the volumes of others", []Moment{at(70, 90), at(90, 85, "node-1/theirs")}, true, "1 (node-1/theirs) came, 0 (none) went"},
		{"off while others come and go", []Moment{at(89, 90, "node-1/a"), at(84, 85, "node-1/a", "node-1/b"), at(89, 90, "node-1/b")}, false,
			"1 (node-1/b) came, 1 (node-1/a) went"},
		{"off, with volumes of others that stay", []Moment{at(89, 90, "node-1/a"), at(89, 90, "node-1/a")}, false, ""},
		{"a volume of others that was there for a moment", []Moment{at(90, 80), at(90, 70, "node-1/a"), at(90, 80)}, false, "came"},
		{"another node that has the name of the spec's volume", []Moment{at(90, 90), at(90, 90, "node-2/own")}, true, ""},
		{"nothing published", []Moment{at(-1, 90)}, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Comparison
			var same bool
			var seen string
			for _, m := range tt.moments {
				same, seen = c.Compare(m, "own")
			}
			others := ""
			if err := c.Others(); err != nil {
				others = err.Error()
			}
			if same != tt.same || !strings.Contains(others, tt.others) || (others == "") != (tt.others == "") {
				t.Errorf("same %t (%s), others %q, want %t and %q", same, seen, others, tt.same, tt.others)
			}
		})
	}
}
