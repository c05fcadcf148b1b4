package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/fault"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/wait"
)

// A Deployment is a Manifest that was applied to a cluster. It is not safe for concurrent use.
type Deployment struct {
	*Manifest

	cluster *cluster.Cluster
	waiter  wait.Waiter
	created []*unstructured.Unstructured
	volumes map[string]types.UID // claims by the names of the volumes bound to them, as far as both go with the deployment
	settled baseline
}

// Apply creates the objects of the manifest, with unknown fields refused by the server, and
// registers their removal, and that of the claims made for the workload, in l. An object that
// exists already is an error and stays as it is. On an error what was created so far is in l.
// It is the deployment's fault when the API server finds an object malformed that the kustomization has
// in the same way without changes.
func (m *Manifest) Apply(ctx context.Context, c *cluster.Cluster, w wait.Waiter, l *ledger.Ledger) (*Deployment, error) {
	d := &Deployment{Manifest: m, cluster: c, waiter: w, volumes: map[string]types.UID{}}
	what := fmt.Sprintf("%s %s/%s", m.Kind, m.Namespace, m.Name)
	l.Add("claims of "+what, d.DeleteClaims)
	l.Add("objects of "+what, d.Delete)
	for _, o := range m.Objects {
		err := d.create(ctx, o)
		if fault.Malformed(err) && fault.Malformed(m.unchanged(ctx, c, o)) {
			err = fault.OfDeployment(err)
		}
		if err != nil {
			return nil, fmt.Errorf("applying %s: creating %s: %w", m.Dir, title(o), err)
		}
	}
	return d, nil
}

// unchanged has the API server try out an object as the kustomization has it.
func (m *Manifest) unchanged(ctx context.Context, c *cluster.Cluster, o *unstructured.Unstructured) error {
	plain, err := Load(m.Dir, Changes{Namespace: m.Namespace})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(plain.Objects, func(p *unstructured.Unstructured) bool {
		return p.GetKind() == o.GetKind() && p.GetName() == o.GetName()
	})
	if i < 0 {
		return nil
	}
	return post(ctx, c, plain.Objects[i].DeepCopy(), metav1.DryRunAll)
}

// post sends an object to the API server.
func post(ctx context.Context, c *cluster.Cluster, o *unstructured.Unstructured, dryRun ...string) error {
	api := c.Resources.GetControllerRuntimeClient()
	if namespaced, err := api.IsObjectNamespaced(o); err != nil {
		return fmt.Errorf("%w; the cluster has to know the kind", err)
	} else if !namespaced {
		o.SetNamespace("")
	}
	// Resources.Create of e2e-framework drops the field validation.
	return api.Create(ctx, o, &client.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun})
}

func (d *Deployment) create(ctx context.Context, o *unstructured.Unstructured) error {
	o = o.DeepCopy()
	err := post(ctx, d.cluster, o)
	switch {
	case apierrors.IsAlreadyExists(err):
		if adopted, err := d.adopt(ctx, o); adopted || err != nil {
			return err
		}
		return fmt.Errorf("%w; remove it or rename it in the kustomization, it is not overwritten", err)
	case apierrors.IsNotFound(err) && o.GetNamespace() != "":
		return fmt.Errorf("%w; create the namespace %s first", err, o.GetNamespace())
	case err != nil:
		// The answer may be lost although the server has created the object, which then has no known
		// UID; what cannot be distinguished from a foreign object is left alone, and said so.
		if uncertain(err) {
			return fmt.Errorf("%w; whether the object was created is not known", err)
		}
		return err
	}
	d.created = append(d.created, o)
	return nil
}

func uncertain(err error) bool {
	var status apierrors.APIStatus
	return !errors.As(err, &status) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// Delete removes what Apply created, in reverse order, and waits until it is gone, the workload's pods, their
// ephemeral claims and the volumes of those included. Objects that are gone already are no error.
func (d *Deployment) Delete(ctx context.Context) error {
	claims, errs := d.doomedClaims(ctx)
	for _, o := range slices.Backward(d.created) {
		if err := d.delete(ctx, o); err != nil {
			errs = errors.Join(errs, fmt.Errorf("deleting %s: %w", title(o), err))
		}
	}
	if len(d.created) > 0 {
		errs = errors.Join(errs, d.gone(ctx), d.podsGone(ctx, wait.PodsGone), d.claimsGone(ctx, claims, false))
	}
	return errs
}

func (d *Deployment) delete(ctx context.Context, o *unstructured.Unstructured) error {
	uid := o.GetUID()
	err := d.cluster.Resources.Delete(ctx, o, func(options *metav1.DeleteOptions) {
		policy := metav1.DeletePropagationBackground
		options.PropagationPolicy = &policy
		options.Preconditions = &metav1.Preconditions{UID: &uid}
	})
	// A conflict is another object under the name: the one created here is gone.
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (d *Deployment) gone(ctx context.Context) error {
	what := fmt.Sprintf("the removal of the objects of %s %s/%s", d.Kind, d.Namespace, d.Name)
	return d.waiter.Until(ctx, wait.ObjectsGone, what, func(ctx context.Context) (bool, string, error) {
		var left []string
		for _, o := range d.created {
			current := &unstructured.Unstructured{}
			current.SetGroupVersionKind(o.GroupVersionKind())
			err := d.cluster.Resources.Get(ctx, o.GetName(), o.GetNamespace(), current)
			switch {
			case apierrors.IsNotFound(err):
			case err != nil:
				return false, title(o), err
			case current.GetUID() == o.GetUID():
				left = append(left, title(o)+finalizers(current.GetFinalizers()))
			}
		}
		if len(left) == 0 {
			return true, "none left", nil
		}
		return false, fmt.Sprintf("%d objects left: %s", len(left), strings.Join(left, ", ")), nil
	})
}

func finalizers(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " held by " + strings.Join(names, ", ")
}

func (d *Deployment) podsGone(ctx context.Context, name wait.Name) error {
	what := fmt.Sprintf("the pods of %s %s/%s to be gone", d.Kind, d.Namespace, d.Name)
	return d.watching(cluster.Pods).Until(ctx, name, what, func(ctx context.Context) (bool, string, error) {
		pods, err := d.Pods(ctx)
		if err != nil {
			return false, "", err
		}
		return len(pods) == 0, summarise(pods), nil
	})
}

// watching is the waiter for what is about objects of these kinds.
func (d *Deployment) watching(kinds ...string) wait.Waiter {
	w := d.waiter
	w.Changes = d.cluster.Changes(d.Namespace, kinds...)
	return w
}

// Pods returns all pods of the workload, those being deleted included.
func (d *Deployment) Pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := d.cluster.Client.CoreV1().Pods(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: d.selector.String()})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of %s %s/%s: %w", d.Kind, d.Namespace, d.Name, err)
	}
	return list.Items, nil
}

// Pod returns the single Ready pod of the workload.
func (d *Deployment) Pod(ctx context.Context) (*corev1.Pod, error) {
	pods, err := d.Pods(ctx)
	if err != nil {
		return nil, err
	}
	ready := live(pods, isReady)
	if len(ready) != 1 {
		err := fmt.Errorf("%s %s/%s has %d Ready pods, want 1: %s", d.Kind, d.Namespace, d.Name, len(ready), summarise(pods))
		if len(ready) == 0 {
			err = fault.OfDeployment(err)
		}
		return nil, err
	}
	return &ready[0], nil
}

func title(o *unstructured.Unstructured) string {
	if o.GetNamespace() == "" {
		return o.GetKind() + " " + o.GetName()
	}
	return fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
}
