package placement

import (
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
