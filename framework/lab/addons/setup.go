package addons

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
)

// A setup is what the driver's objects declare in place of what its release has.
type setup struct {
	driver   func(*storagev1.CSIDriverSpec)
	selector func(*map[string]string) // of the nodes on which the driver runs
}

var setups = map[string]setup{
	"untracked-capacity": {driver: func(s *storagev1.CSIDriverSpec) { s.StorageCapacity = ptr.To(false) }},
	"no-pod-info":        {driver: func(s *storagev1.CSIDriverSpec) { s.PodInfoOnMount = ptr.To(false) }},
	"any-node":           {selector: func(s *map[string]string) { *s = nil }},
}

// Setups are the names of faults of the driver's objects. The other faults are those of hack/lying-driver.
func Setups() []string { return slices.Sorted(maps.Keys(setups)) }

// released has what the release declares, while a fault is in its place.
const released = "pmem-memcached-e2e/released"

// setUp changes the driver's objects by a fault of [Setups]; any other one gives them back what the release declares.
func setUp(ctx context.Context, client kubernetes.Interface, fault string, set *appsv1.DaemonSet) error {
	drivers := client.StorageV1().CSIDrivers()
	driver, err := drivers.Get(ctx, pmemcsi.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	changed, err := change(&driver.ObjectMeta, &driver.Spec, setups[fault].driver)
	if err != nil {
		return fmt.Errorf("CSIDriver %s: %w", driver.Name, err)
	}
	if changed {
		if _, err := drivers.Update(ctx, driver, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	if _, err := change(&set.ObjectMeta, &set.Spec.Template.Spec.NodeSelector, setups[fault].selector); err != nil {
		return fmt.Errorf("DaemonSet %s/%s: %w", set.Namespace, set.Name, err)
	}
	return nil
}

// change has spec be as the release declares it and then makes a change, if there is one. It reports whether there was anything to do.
func change[T any](meta *metav1.ObjectMeta, spec *T, make func(*T)) (bool, error) {
	text, was := meta.Annotations[released]
	if was {
		var original T
		if err := json.Unmarshal([]byte(text), &original); err != nil {
			return false, fmt.Errorf("annotation %s: %w", released, err)
		}
		*spec = original
		delete(meta.Annotations, released)
	}
	if make == nil {
		return was, nil
	}
	original, err := json.Marshal(spec)
	if err != nil {
		return false, err
	}
	metav1.SetMetaDataAnnotation(meta, released, string(original))
	make(spec)
	return true, nil
}
