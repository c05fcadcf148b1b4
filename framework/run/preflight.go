package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
)

// preflightLimit bounds all questions to the API server, before scaling.
const preflightLimit = 30 * time.Second

// preflight checks that the cluster has what the manifests ask for: the CSI
// drivers, a node with each of them, and the storage classes.
func preflight(ctx context.Context, c *cluster.Cluster, manifests []*deploy.Manifest) error {
	var errs []error
	drivers := map[string]bool{} // with: for inline volumes
	for _, m := range manifests {
		v, err := m.Volume()
		if err != nil {
			continue // the specs say what is wrong with such a deployment
		}
		if v.Source == deploy.Inline {
			drivers[v.Driver] = true
			continue
		}
		driver, err := driverOfClass(ctx, c, m, v.Class)
		if err != nil {
			errs = append(errs, err)
		} else if !drivers[driver] {
			drivers[driver] = false
		}
	}
	for driver, inline := range drivers {
		errs = append(errs, checkDriver(ctx, c, driver, inline))
	}
	return errors.Join(errs...)
}

func driverOfClass(ctx context.Context, c *cluster.Cluster, m *deploy.Manifest, name string) (string, error) {
	for _, o := range m.Objects {
		if o.GetKind() == "StorageClass" && o.GetName() == name {
			driver, _ := o.Object["provisioner"].(string)
			return driver, nil
		}
	}
	classes, err := c.Client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("list the storage classes: %w", err)
	}
	var names []string
	for _, class := range classes.Items {
		if class.Name == name || (name == "" && class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true") {
			return class.Provisioner, nil
		}
		names = append(names, class.Name)
	}
	want := fmt.Sprintf("storage class %q", name)
	if name == "" {
		want = "a default storage class"
	}
	return "", fmt.Errorf("%s, which %s/%s in %s asks for, is absent; the cluster has: %s; deploy the storage classes of PMEM-CSI or change the manifest",
		want, m.Kind, m.Name, m.Dir, orNone(names))
}

func checkDriver(ctx context.Context, c *cluster.Cluster, name string, inline bool) error {
	driver, err := c.Client.StorageV1().CSIDrivers().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the CSI driver %q is absent (no CSIDriver object of that name); deploy PMEM-CSI, see its installation guide", name)
	}
	if err != nil {
		return fmt.Errorf("get CSIDriver %s: %w", name, err)
	}
	if inline && !slices.Contains(driver.Spec.VolumeLifecycleModes, storagev1.VolumeLifecycleEphemeral) {
		return fmt.Errorf("the CSI driver %q offers no inline volumes: its volumeLifecycleModes are %v, want Ephemeral among them", name, driver.Spec.VolumeLifecycleModes)
	}
	nodes, err := c.Client.StorageV1().CSINodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the CSINodes: %w", err)
	}
	var names []string
	for _, node := range nodes.Items {
		for _, d := range node.Spec.Drivers {
			if d.Name == name {
				return nil
			}
		}
		names = append(names, node.Name)
	}
	return fmt.Errorf("the CSI driver %q runs on no node (CSINodes: %s); label a node with PMEM as PMEM-CSI's installation guide says and look at the driver's pods", name, orNone(names))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
