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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	appsclient "k8s.io/client-go/kubernetes/typed/apps/v1"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/framework/lab/pmemcsi"
	"pmem-memcached-e2e/framework/wait"
)

// A setup is what the driver's objects, and those that it makes, have in place of what its release leads to.
type setup struct {
	driver      func(*storagev1.CSIDriverSpec)
	selector    func(*map[string]string)         // of the nodes on which the driver runs
	listed      func(*[]storagev1.CSINodeDriver) // of each node
	unconverted bool                             // what a label asks for is done on no node
}

var setups = map[string]setup{
	"untracked-capacity": {driver: func(s *storagev1.CSIDriverSpec) { s.StorageCapacity = ptr.To(false) }},
	"no-pod-info":        {driver: func(s *storagev1.CSIDriverSpec) { s.PodInfoOnMount = ptr.To(false) }},
	"any-node":           {selector: func(s *map[string]string) { *s = nil }},
	"unlisted":           {listed: func(l *[]storagev1.CSINodeDriver) { *l = nil }},
	"unconverted":        {unconverted: true},
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
	if err := listDrivers(ctx, client, setups[fault].listed); err != nil {
		return err
	}
	return leaveUnconverted(ctx, client, setups[fault].unconverted)
}

// listDrivers changes which drivers are listed on the nodes. The kubelet writes that once, when a driver registers.
func listDrivers(ctx context.Context, client kubernetes.Interface, drivers func(*[]storagev1.CSINodeDriver)) error {
	nodes, err := client.StorageV1().CSINodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		changed, err := change(&node.ObjectMeta, &node.Spec.Drivers, drivers)
		if err != nil {
			return fmt.Errorf("CSINode %s: %w", node.Name, err)
		}
		if !changed {
			continue
		}
		if _, err := client.StorageV1().CSINodes().Update(ctx, &node, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// nowhere selects no node.
var nowhere = map[string]string{"pmem-memcached-e2e/none": "none"}

// leaveUnconverted has the driver's nodes ask for a conversion, which no pod makes then, or no longer.
func leaveUnconverted(ctx context.Context, client kubernetes.Interface, unconverted bool) error {
	sets := client.AppsV1().DaemonSets(pmemcsi.Namespace)
	found, err := sets.List(ctx, metav1.ListOptions{LabelSelector: pmemcsi.PodLabel + "=" + pmemcsi.SetupPod})
	if err != nil {
		return err
	}
	for _, set := range found.Items {
		var selector func(*map[string]string)
		if unconverted {
			selector = func(s *map[string]string) { *s = nowhere }
		} else if err := label(ctx, client, nil); err != nil { // before there is a pod that answers it
			return err
		}
		changed, err := change(&set.ObjectMeta, &set.Spec.Template.Spec.NodeSelector, selector)
		if err != nil {
			return fmt.Errorf("DaemonSet %s/%s: %w", set.Namespace, set.Name, err)
		}
		if !changed {
			continue
		}
		if err := observed(ctx, sets, &set); err != nil {
			return err
		}
	}
	if !unconverted {
		return nil
	}
	return label(ctx, client, ptr.To(pmemcsi.Convert))
}

// observed updates a DaemonSet and waits until its controller knows.
func observed(ctx context.Context, sets appsclient.DaemonSetInterface, set *appsv1.DaemonSet) error {
	set, err := sets.Update(ctx, set, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("the controller of DaemonSet %s/%s to observe its change", set.Namespace, set.Name)
	return wait.Waiter{}.Until(ctx, wait.LabDriver, what, func(ctx context.Context) (bool, string, error) {
		now, err := sets.Get(ctx, set.Name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return now.Status.ObservedGeneration >= set.Generation, fmt.Sprintf("generation %d of %d", now.Status.ObservedGeneration, set.Generation), nil
	})
}

// label sets the label by which the driver's nodes ask for a conversion, or removes it for nil.
func label(ctx context.Context, client kubernetes.Interface, value *string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]*string{pmemcsi.ConvertLabel: value}}})
	if err != nil {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: pmemcsi.Direct.Label()})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		if _, has := node.Labels[pmemcsi.ConvertLabel]; has == (value != nil) {
			continue
		}
		if _, err := client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return err
		}
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
