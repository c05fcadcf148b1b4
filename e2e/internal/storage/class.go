package storage

import (
	"context"
	"errors"
	"slices"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/spec"
)

// DriverName is the name of the driver that the manifest of the spec's mode uses, or that of the other one.
func DriverName(ctx context.Context, e *framework.Env) string {
	profiles := []spec.Profile{spec.Ephemeral, spec.Persistent}
	if e.Spec.Profile == spec.Persistent {
		slices.Reverse(profiles)
	}
	for _, profile := range profiles {
		m := e.Manifest(profile)
		v, err := m.Volume()
		if err != nil {
			continue // the specs of that profile report what is wrong with it
		}
		if v.Driver != "" {
			return v.Driver
		}
		classes, _ := deploy.StorageClasses(ctx, e.Cluster.Client, m) // what cannot be read is as good as absent
		if class, ok := v.StorageClass(classes); ok {
			return class.Provisioner
		}
	}
	e.NoError(errors.New("neither an inline volume nor a class that the cluster knows"), "find the driver of the manifests")
	return ""
}

// MakeClass makes a storage class that is removed with the ledger.
func MakeClass(ctx context.Context, e *framework.Env, driver, suffix string, binding storagev1.VolumeBindingMode, parameters map[string]string) *storagev1.StorageClass {
	classes := e.Cluster.Client.StorageV1().StorageClasses()
	class, err := classes.Create(ctx, &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: e.Namespace + "-" + suffix},
		Provisioner: driver, Parameters: parameters, VolumeBindingMode: &binding,
	}, metav1.CreateOptions{})
	e.NoError(err, "make a storage class")
	e.Ledger.Add("storage class "+class.Name, func(ctx context.Context) error {
		err := classes.Delete(ctx, class.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &class.UID}})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
	return class
}

// LateClass is the name of a class like that of the volume in m, with late binding, or empty when m can stay as it is. A class
// with immediate binding may have the volumes of two replicas made on two nodes.
func LateClass(ctx context.Context, e *framework.Env, m *deploy.Manifest) string {
	v, err := m.Volume()
	if err != nil {
		return "" // OBJ-02 and RST-04 report what is wrong with it
	}
	classes, err := deploy.StorageClasses(ctx, e.Cluster.Client, m)
	e.NoError(err, "read the storage classes")
	class, ok := v.StorageClass(classes)
	if !ok || ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) != storagev1.VolumeBindingImmediate {
		return ""
	}
	nodes, err := e.Cluster.CSINodes(ctx)
	e.NoError(err, "list the CSINode objects")
	if NodesWith(nodes, class.Provisioner) < 2 {
		return ""
	}
	late := MakeClass(ctx, e, class.Provisioner, "late", storagev1.VolumeBindingWaitForFirstConsumer, class.Parameters)
	e.Note("class", "the volumes have the class %s, which is %s with late binding, so that two of them are on one node", late.Name, class.Name)
	return late.Name
}

// NodesWith is how many nodes list a driver.
func NodesWith(nodes []storagev1.CSINode, driver string) int {
	n := 0
	for _, node := range nodes {
		if slices.ContainsFunc(node.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == driver }) {
			n++
		}
	}
	return n
}
