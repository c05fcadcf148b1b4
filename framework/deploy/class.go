package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
)

const (
	classKind    = "StorageClass"
	defaultClass = "storageclass.kubernetes.io/is-default-class" // annotation
)

// StorageClasses returns the storage classes of the manifests and those of the
// cluster that have other names. With an error it returns those that it could
// read.
func StorageClasses(ctx context.Context, client kubernetes.Interface, manifests ...*Manifest) ([]storagev1.StorageClass, error) {
	var classes []storagev1.StorageClass
	var errs []error
	for _, m := range manifests {
		for _, o := range m.Objects {
			if o.GetKind() != classKind {
				continue
			}
			var class storagev1.StorageClass
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &class); err != nil {
				errs = append(errs, fmt.Errorf("read %s/%s in %s: %w", classKind, o.GetName(), m.Dir, err))
				continue
			}
			classes = append(classes, class)
		}
	}
	list, err := client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return classes, errors.Join(append(errs, fmt.Errorf("list the storage classes: %w", err))...)
	}
	for _, class := range list.Items {
		if !slices.ContainsFunc(classes, func(c storagev1.StorageClass) bool { return c.Name == class.Name }) {
			classes = append(classes, class)
		}
	}
	return classes, errors.Join(errs...)
}

// Drivers returns the names of the CSI drivers behind the volumes of manifests, each once. What cannot be found
// out is left out; the specs report what is wrong with such a volume.
func Drivers(ctx context.Context, client kubernetes.Interface, manifests ...*Manifest) []string {
	var names []string
	for _, m := range manifests {
		v, err := m.Volume()
		if err != nil {
			continue
		}
		name := v.Driver
		if v.Source != Inline {
			classes, _ := StorageClasses(ctx, client, m)
			if class, ok := v.StorageClass(classes); ok {
				name = class.Provisioner
			}
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// StorageClass returns the class of the volume's claim, by its name or, when the
// claim names none, the default class. An Inline volume has none.
func (v Volume) StorageClass(classes []storagev1.StorageClass) (storagev1.StorageClass, bool) {
	if v.Source == Inline {
		return storagev1.StorageClass{}, false
	}
	i := slices.IndexFunc(classes, func(c storagev1.StorageClass) bool {
		return c.Name == v.Class || v.Class == "" && c.Annotations[defaultClass] == "true"
	})
	if i < 0 {
		return storagev1.StorageClass{}, false
	}
	return classes[i], true
}
