// Package addons creates what a cluster has besides Kubernetes: a lab's CoreDNS,
// and PMEM-CSI.
package addons

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/e2e-framework/klient/decoder"
	"sigs.k8s.io/e2e-framework/klient/k8s"
	"sigs.k8s.io/e2e-framework/klient/k8s/resources"

	"pmem-memcached-e2e/framework/lab/artifact"
	"pmem-memcached-e2e/framework/lab/pmemcsi"
)

//go:embed files/coredns.yaml
var corednsYAML string

// Text is the YAML that is applied in addition to that of PMEM-CSI's release.
func Text() string { return corednsYAML }

// Apply creates all of it, which does not need the nodes to be there. PMEM-CSI's
// release is in a directory.
func Apply(ctx context.Context, kubeconfig, release string, mode pmemcsi.Mode) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 100, 200
	// The driver's release is applied as it is; advice about it helps nobody.
	config.WarningHandler = rest.NoWarnings{}
	res, err := resources.New(config)
	if err != nil {
		return err
	}
	for _, obj := range []k8s.Object{
		// The role and its rules are Kubernetes' own; only who has it is not
		// known to it.
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "lab:kubelet-api"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kubelet-api-admin"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "kube-apiserver-kubelet-client"}},
		},
	} {
		if err := res.Create(ctx, obj); err != nil {
			return fmt.Errorf("create %T %s: %w", obj, obj.GetName(), err)
		}
	}
	if err := decoder.DecodeEach(ctx, strings.NewReader(corednsYAML), decoder.CreateHandler(res), decoder.MutateOption(UseImages(labImage))); err != nil {
		return fmt.Errorf("apply coredns.yaml: %w", err)
	}
	return Driver(ctx, res, release, mode, UseImages(labImage), ShortenDelay)
}

// Driver creates PMEM-CSI as its release in a directory has it, changed so that
// it works with a newer external-provisioner, and by changes.
func Driver(ctx context.Context, res *resources.Resources, release string, mode pmemcsi.Mode, changes ...func(k8s.Object) error) error {
	if err := res.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: pmemcsi.Namespace}}); err != nil {
		return fmt.Errorf("create namespace %s: %w", pmemcsi.Namespace, err)
	}
	options := []decoder.DecodeOption{decoder.MutateOption(allowNewProvisioner)}
	for _, change := range changes {
		options = append(options, decoder.MutateOption(change))
	}
	for _, name := range mode.Files() {
		content, err := os.ReadFile(filepath.Join(release, name))
		if err != nil {
			return err
		}
		if err := decoder.DecodeEach(ctx, bytes.NewReader(content), decoder.CreateHandler(res), options...); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	return nil
}

// UseImages returns a change that replaces each image by the one that name
// returns for it.
func UseImages(name func(image string) (string, error)) func(k8s.Object) error {
	return func(obj k8s.Object) error { return useImages(obj, name) }
}

func useImages(obj k8s.Object, name func(image string) (string, error)) error {
	var spec *corev1.PodSpec
	switch o := obj.(type) {
	case *appsv1.Deployment:
		spec = &o.Spec.Template.Spec
	case *appsv1.DaemonSet:
		spec = &o.Spec.Template.Spec
	default:
		return nil
	}
	for i, c := range spec.Containers {
		image, err := name(c.Image)
		if err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
		spec.Containers[i].Image = image
	}
	return nil
}

// allowNewProvisioner adds what the lab's external-provisioner, which is newer
// than the one that the driver's release names, may do: since v5 it puts a
// finalizer on volumes and takes it off again (HonorPVReclaimPolicy).
func allowNewProvisioner(obj k8s.Object) error {
	role, ok := obj.(*rbacv1.ClusterRole)
	if !ok {
		return nil
	}
	for i, rule := range role.Rules {
		if slices.Contains(rule.Resources, "persistentvolumes") && slices.Contains(rule.Verbs, "delete") {
			role.Rules[i].Verbs = append(rule.Verbs, "patch")
		}
	}
	return nil
}

// ShortenDelay has the external-provisioner of a node take up a claim with
// immediate binding at once. By default it waits 20 s, so that those of
// hundreds of nodes do not want the same one at the same time.
func ShortenDelay(obj k8s.Object) error {
	set, ok := obj.(*appsv1.DaemonSet)
	if !ok {
		return nil
	}
	containers := set.Spec.Template.Spec.Containers
	for i, c := range containers {
		if slices.Contains(c.Args, "--node-deployment=true") {
			containers[i].Args = append(c.Args, "--node-deployment-base-delay=1s")
		}
	}
	return nil
}

// labImage is the lab's image of the same name.
func labImage(image string) (string, error) {
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	for _, i := range artifact.Images {
		if i.Name == name {
			return i.Reference(), nil
		}
	}
	return "", fmt.Errorf("the lab has no image for %s", image)
}
