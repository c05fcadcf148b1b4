// Package addons creates what a lab's cluster has besides Kubernetes: CoreDNS
// and PMEM-CSI.
package addons

import (
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
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: pmemcsi.Namespace}},
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
	texts := map[string]string{"coredns.yaml": corednsYAML}
	for _, name := range mode.Files() {
		content, err := os.ReadFile(filepath.Join(release, name))
		if err != nil {
			return err
		}
		texts[name] = string(content)
	}
	for name, text := range texts {
		if err := decoder.DecodeEach(ctx, strings.NewReader(text), decoder.CreateHandler(res), decoder.MutateOption(useLabImages), decoder.MutateOption(allowNewProvisioner), decoder.MutateOption(shortenDelay)); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	return nil
}

// useLabImages replaces each image by the lab's of the same name.
func useLabImages(obj k8s.Object) error {
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
		image, err := labImage(c.Image)
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

// shortenDelay has the external-provisioner of a node take up a claim with
// immediate binding at once. By default it waits 20 s, so that those of
// hundreds of nodes do not want the same one at the same time.
func shortenDelay(obj k8s.Object) error {
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

func labImage(image string) (string, error) {
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	for _, i := range artifact.Images {
		if i.Name == name {
			return i.Reference(), nil
		}
	}
	return "", fmt.Errorf("the lab has no image for %s", image)
}
