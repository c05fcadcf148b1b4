package cluster

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

// Kinds of objects of which Changes reports.
const (
	Pods         = "pods"
	Deployments  = "deployments"
	StatefulSets = "statefulsets"
	Events       = "events"
)

type startWatch func(context.Context, metav1.ListOptions) (watch.Interface, error)

func (c *Cluster) watchOf(kind, namespace string) startWatch {
	switch kind {
	case Pods:
		return c.Client.CoreV1().Pods(namespace).Watch
	case Deployments:
		return c.Client.AppsV1().Deployments(namespace).Watch
	case StatefulSets:
		return c.Client.AppsV1().StatefulSets(namespace).Watch
	case Events:
		return c.Client.CoreV1().Events(namespace).Watch
	}
	return func(context.Context, metav1.ListOptions) (watch.Interface, error) {
		return nil, fmt.Errorf("%q is not watched", kind)
	}
}

// Changes is for the field of that name of a [wait.Waiter] that looks at objects of these kinds in a namespace.
func (c *Cluster) Changes(namespace string, kinds ...string) func(context.Context) <-chan struct{} {
	var watches []startWatch
	for _, kind := range kinds {
		watches = append(watches, c.watchOf(kind, namespace))
	}
	return changes(metav1.ListOptions{}, watches...)
}

// NamespaceChanges is Changes for the namespace itself.
func (c *Cluster) NamespaceChanges(name string) func(context.Context) <-chan struct{} {
	only := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
	return changes(only, c.Client.CoreV1().Namespaces().Watch)
}

// changes returns a function whose channel has an element after something has changed that one of watches reports, until ctx
// ends. It is closed when one of them has ended. What is there already counts as a change, so that none is missed
// between a look and the beginning of a watch.
func changes(options metav1.ListOptions, watches ...startWatch) func(context.Context) <-chan struct{} {
	return func(ctx context.Context) <-chan struct{} {
		ctx, cancel := context.WithCancel(ctx)
		changed := make(chan struct{}, 1)
		var all sync.WaitGroup
		for _, start := range watches {
			all.Go(func() {
				defer cancel()
				if w, err := start(ctx, options); err == nil {
					follow(ctx, w, func(watch.Event) {
						select {
						case changed <- struct{}{}:
						default: // the one that is there is not taken yet
						}
					})
				}
			})
		}
		go func() {
			defer cancel()
			all.Wait()
			close(changed)
		}()
		return changed
	}
}

// follow calls each for what a watch reports, until that or ctx ends.
func follow(ctx context.Context, w watch.Interface, each func(watch.Event)) {
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-w.ResultChan():
			if !open || event.Type == watch.Error {
				return
			}
			each(event)
		}
	}
}
