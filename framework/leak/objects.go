package leak

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"pmem-memcached-e2e/framework/cluster"
)

// A kind of object that is listed by its metadata alone.
type kind struct {
	name     string
	resource schema.GroupVersionResource
}

func of(group, name, resource string) kind {
	return kind{name, schema.GroupVersionResource{Group: group, Version: "v1", Resource: resource}}
}

// kinds leaves out what components make and remove all the time: events, leases, endpoints.
var kinds = []kind{
	of("", "Namespace", "namespaces"), of("", "Node", "nodes"),
	of("", "Pod", "pods"), of("", "Service", "services"), of("", "PersistentVolumeClaim", "persistentvolumeclaims"),
	of("", "ConfigMap", "configmaps"), of("", "Secret", "secrets"), of("", "ServiceAccount", "serviceaccounts"),
	of("", "ResourceQuota", "resourcequotas"), of("", "LimitRange", "limitranges"),
	of("", "ReplicationController", "replicationcontrollers"),
	of("apps", "Deployment", "deployments"), of("apps", "StatefulSet", "statefulsets"),
	of("apps", "DaemonSet", "daemonsets"), of("apps", "ReplicaSet", "replicasets"),
	of("batch", "Job", "jobs"), of("batch", "CronJob", "cronjobs"),
	of("policy", "PodDisruptionBudget", "poddisruptionbudgets"),
	of("networking.k8s.io", "NetworkPolicy", "networkpolicies"), of("networking.k8s.io", "Ingress", "ingresses"),
	of("rbac.authorization.k8s.io", "Role", "roles"), of("rbac.authorization.k8s.io", "RoleBinding", "rolebindings"),
	of("rbac.authorization.k8s.io", "ClusterRole", "clusterroles"),
	of("storage.k8s.io", "StorageClass", "storageclasses"), of("storage.k8s.io", "CSIDriver", "csidrivers"),
	of("scheduling.k8s.io", "PriorityClass", "priorityclasses"),
	of("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions"),
	of("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
	of("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
}

// Kubernetes makes these in every namespace.
var automatic = sets.New("ConfigMap kube-root-ca.crt", "ServiceAccount default")

type object struct {
	metav1.ObjectMeta
	kind   string
	part   part
	owner  string // namespace that it refers to; of cluster-scoped objects
	detail string
	handle string // of a persistent volume of a CSI driver
	volume string // that a VolumeAttachment is about
}

func listed(resource string) part { return part{API, inCluster, resource} }

// readObjects starts the lists.
func (t *taker) readObjects(ctx context.Context, wg *sync.WaitGroup) {
	if !t.scope.Exclusive {
		t.own = t.present(ctx)
	}
	list := func(resource string, read func(context.Context) ([]object, error)) {
		wg.Go(func() {
			t.lists <- struct{}{}
			defer func() { <-t.lists }()
			t.readPart(ctx, listed(resource), func(ctx context.Context) error {
				objects, err := read(ctx)
				if apierrors.IsNotFound(err) {
					return nil // a server that does not know the kind has no object of it
				}
				if err != nil {
					return err
				}
				t.mu.Lock()
				defer t.mu.Unlock()
				for _, o := range objects {
					o.part = listed(resource)
					t.objects = append(t.objects, o)
				}
				return nil
			})
		})
	}
	for _, k := range kinds {
		list(k.resource.Resource, func(ctx context.Context) ([]object, error) { return t.metadataOf(ctx, k) })
	}
	list("persistentvolumes", t.volumes)
	list("volumeattachments", t.attachments)
	list("clusterrolebindings", t.bindings)
}

func (t *taker) metadataOf(ctx context.Context, k kind) ([]object, error) {
	namespaces := t.within(k)
	if len(namespaces) == 0 { // whether the kind can be listed counts nevertheless
		_, err := t.metadata.Resource(k.resource).List(ctx, metav1.ListOptions{Limit: 1})
		return nil, err
	}
	var objects []object
	for _, ns := range namespaces {
		all, err := cluster.Items(ctx, metav1.ListOptions{}, t.metadata.Resource(k.resource).Namespace(ns).List, itemsOf)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			objects = append(objects, object{ObjectMeta: m.ObjectMeta, kind: k.name})
		}
	}
	return objects, nil
}

func itemsOf(l *metav1.PartialObjectMetadataList) []metav1.PartialObjectMetadata { return l.Items }

// within are the namespaces in which objects of a kind are listed. Where others use the cluster, too, what is in their namespaces
// does not count, except that volumes on the nodes belong to pods and claims.
func (t *taker) within(k kind) []string {
	if t.scope.Exclusive || clusterScoped.Has(k.name) || k.name == "Pod" || k.name == "PersistentVolumeClaim" {
		return []string{metav1.NamespaceAll}
	}
	return t.own
}

// clusterScoped are the kinds that are in no namespace.
var clusterScoped = sets.New("Namespace", "Node", "ClusterRole", "StorageClass", "CSIDriver", "PriorityClass", "CustomResourceDefinition",
	"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")

// present are the namespaces of the run that are still there, or all of them if that cannot be seen.
func (t *taker) present(ctx context.Context) []string {
	all, err := cluster.Items(ctx, metav1.ListOptions{}, t.metadata.Resource(kinds[0].resource).List, itemsOf)
	if err != nil {
		return t.scope.Namespaces
	}
	var there []string
	for _, m := range all {
		if slices.Contains(t.scope.Namespaces, m.Name) {
			there = append(there, m.Name)
		}
	}
	return there
}

func (t *taker) volumes(ctx context.Context) ([]object, error) {
	all, err := cluster.Items(ctx, metav1.ListOptions{}, t.cluster.Client.CoreV1().PersistentVolumes().List, func(l *corev1.PersistentVolumeList) []corev1.PersistentVolume { return l.Items })
	if err != nil {
		return nil, err
	}
	var objects []object
	for _, pv := range all {
		o := object{ObjectMeta: pv.ObjectMeta, kind: "PersistentVolume"}
		capacity := pv.Spec.Capacity["storage"]
		o.detail = fmt.Sprintf("%s, %s, reclaim policy %s", size(capacity.Value()), pv.Status.Phase, pv.Spec.PersistentVolumeReclaimPolicy)
		if claim := pv.Spec.ClaimRef; claim != nil {
			o.owner = claim.Namespace
			o.detail += ", claim " + claim.Namespace + "/" + claim.Name
		}
		if pv.Spec.CSI != nil {
			o.handle = pv.Spec.CSI.VolumeHandle
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func (t *taker) attachments(ctx context.Context) ([]object, error) {
	all, err := cluster.Items(ctx, metav1.ListOptions{}, t.cluster.Client.StorageV1().VolumeAttachments().List, func(l *storagev1.VolumeAttachmentList) []storagev1.VolumeAttachment { return l.Items })
	if err != nil {
		return nil, err
	}
	var objects []object
	for _, a := range all {
		o := object{ObjectMeta: a.ObjectMeta, kind: "VolumeAttachment", detail: "to node " + a.Spec.NodeName}
		if volume := a.Spec.Source.PersistentVolumeName; volume != nil {
			o.detail = "of " + *volume + " " + o.detail
			o.volume = *volume
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func (t *taker) bindings(ctx context.Context) ([]object, error) {
	all, err := cluster.Items(ctx, metav1.ListOptions{}, t.cluster.Client.RbacV1().ClusterRoleBindings().List, func(l *rbacv1.ClusterRoleBindingList) []rbacv1.ClusterRoleBinding { return l.Items })
	if err != nil {
		return nil, err
	}
	var objects []object
	for _, b := range all {
		o := object{ObjectMeta: b.ObjectMeta, kind: "ClusterRoleBinding", detail: "of " + b.RoleRef.Name}
		for _, s := range b.Subjects {
			if o.owner == "" || slices.Contains(t.scope.Namespaces, s.Namespace) {
				o.owner = s.Namespace
			}
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// addObjects makes items of the objects.
func (t *taker) addObjects() {
	uids := sets.New[types.UID]()
	claims := map[string]string{} // namespace by persistent volume
	for _, o := range t.objects {
		uids.Insert(o.UID)
		if o.kind == "PersistentVolume" {
			claims[o.Name] = o.owner
		}
	}
	for _, o := range t.objects {
		what := o.kind + " " + o.Name
		if o.Namespace != "" && automatic.Has(what) || t.madeByOther(o, uids) {
			continue
		}
		i := item{part: o.part, owner: o.owner, dying: o.DeletionTimestamp != nil, detail: o.describe()}
		where := inCluster
		switch {
		case o.Namespace != "":
			where, i.owner, i.inside = o.Namespace, o.Namespace, true
		case o.kind == "Namespace":
			i.owner, i.inside = o.Name, true
		case o.kind == "VolumeAttachment":
			i.owner = claims[o.volume]
		}
		t.snapshot.items[key{API, where, what}] = i
	}
}

// madeByOther reports whether a controller has made o, such as a DaemonSet its pods, and is still there: it
// stands for what it makes under changing names. So does one of which that is not known.
func (t *taker) madeByOther(o object, uids sets.Set[types.UID]) bool {
	controller := metav1.GetControllerOfNoCopy(&o.ObjectMeta)
	if controller == nil {
		return false
	}
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == controller.Kind })
	unread := i >= 0 && !t.snapshot.read.Has(listed(kinds[i].resource.Resource))
	return unread || uids.Has(controller.UID)
}

func (o object) describe() string {
	var parts []string
	if o.detail != "" {
		parts = append(parts, o.detail)
	}
	if controller := metav1.GetControllerOfNoCopy(&o.ObjectMeta); controller != nil {
		parts = append(parts, fmt.Sprintf("made for %s %s", controller.Kind, controller.Name))
	}
	if !o.CreationTimestamp.IsZero() {
		parts = append(parts, "created "+o.CreationTimestamp.UTC().Format(time.RFC3339))
	}
	if o.DeletionTimestamp != nil {
		parts = append(parts, "to be removed since "+o.DeletionTimestamp.UTC().Format(time.RFC3339))
		if len(o.Finalizers) > 0 {
			parts = append(parts, "held by "+strings.Join(o.Finalizers, " and "))
		}
	}
	return strings.Join(parts, ", ")
}
