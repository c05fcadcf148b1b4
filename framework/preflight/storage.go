package preflight

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/deploy"
)

const (
	installDriver = "deploy PMEM-CSI as its installation guide says, and label the nodes that have persistent memory"
	installClass  = "deploy the storage classes of PMEM-CSI, or name one that is there in the manifest"
	allowList     = "let the user of the kubeconfig read the objects of storage.k8s.io"
)

// errNoClass is about a storage class that is absent.
type errNoClass struct {
	manifest *deploy.Manifest
	name     string
	there    []string
}

func (e *errNoClass) Error() string {
	want := fmt.Sprintf("storage class %q", e.name)
	if e.name == "" {
		want = "a default storage class"
	}
	return fmt.Sprintf("%s, which %s/%s in %s asks for, is absent; the cluster has: %s",
		want, e.manifest.Kind, e.manifest.Name, e.manifest.Dir, orNone(e.there))
}

// driverOf finds the CSI driver behind the volume of a manifest; empty for a
// volume that needs none, of which the specs say what is wrong with it.
func driverOf(ctx context.Context, s Subject, m *deploy.Manifest) (driver string, v deploy.Volume, err error) {
	v, err = m.Volume()
	if err != nil {
		return "", v, nil
	}
	if v.Source == deploy.Inline {
		return v.Driver, v, nil
	}
	classes, err := deploy.StorageClasses(ctx, s.Cluster.Client, m)
	if class, ok := v.StorageClass(classes); ok {
		v.Class = class.Name
		return class.Provisioner, v, nil
	}
	if err != nil {
		return "", v, err
	}
	var names []string
	for _, class := range classes {
		names = append(names, class.Name)
	}
	return "", v, &errNoClass{m, v.Class, names}
}

func checkClass(ctx context.Context, s Subject) finding {
	var findings []finding
	for _, m := range s.Manifests {
		driver, v, err := driverOf(ctx, s, m)
		var absent *errNoClass
		switch {
		case errors.As(err, &absent):
			findings = append(findings, failed(installClass, "%v", err))
		case err != nil:
			findings = append(findings, unknown(allowList, "%v", err))
		case driver != "" && v.Source != deploy.Inline:
			findings = append(findings, passed("class %s of %s", v.Class, driver))
		}
	}
	if len(findings) == 0 {
		return passed("no manifest needs a class")
	}
	return all(findings...)
}

func checkDriver(ctx context.Context, s Subject) finding {
	inline := map[string]bool{} // by driver: whether it has to offer inline volumes
	var findings []finding
	for _, m := range s.Manifests {
		driver, v, err := driverOf(ctx, s, m)
		var absent *errNoClass
		switch {
		case errors.As(err, &absent): // reported by the check of classes
		case err != nil:
			findings = append(findings, unknown(allowList, "%v", err))
		case driver != "":
			inline[driver] = inline[driver] || v.Source == deploy.Inline
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inline)) {
		findings = append(findings, examineDriver(ctx, s, name, inline[name]))
	}
	if len(findings) == 0 {
		return unknown("mount a CSI volume, an ephemeral volume or a claim of a class that is there", "no manifest leads to a CSI driver")
	}
	return all(findings...)
}

func examineDriver(ctx context.Context, s Subject, name string, inline bool) finding {
	driver, err := s.Cluster.Client.StorageV1().CSIDrivers().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return failed(installDriver, "the CSI driver %q is absent (no CSIDriver object of that name)", name)
	case err != nil:
		return unknown(allowList, "get CSIDriver %s: %v", name, err)
	case inline && !slices.Contains(driver.Spec.VolumeLifecycleModes, storagev1.VolumeLifecycleEphemeral):
		return failed("deploy a version of the driver with mode Ephemeral, or set LABELS=persistent",
			"the CSI driver %q offers no inline volumes: its volumeLifecycleModes are %v", name, driver.Spec.VolumeLifecycleModes)
	}
	with, without, err := nodesWith(ctx, s, name)
	switch {
	case err != nil:
		return unknown(allowList, "%v", err)
	case len(with) == 0:
		return failed("label a node with persistent memory as PMEM-CSI's installation guide says, and look at the driver's pods",
			"the CSI driver %q runs on no node (CSINodes: %s)", name, orNone(without))
	}
	return passed("%s on %s", name, strings.Join(with, ", "))
}

// nodesWith are the nodes on which a driver has registered, and the others.
func nodesWith(ctx context.Context, s Subject, driver string) (with, without []string, err error) {
	nodes, err := s.Cluster.CSINodes(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list the CSINodes: %w", err)
	}
	for _, node := range nodes {
		if slices.ContainsFunc(node.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == driver }) {
			with = append(with, node.Name)
		} else {
			without = append(without, node.Name)
		}
	}
	return with, without, nil
}
