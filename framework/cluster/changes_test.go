package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

// next is whether there is an element, and whether there may be more.
func next(t *testing.T, changes <-chan struct{}) bool {
	t.Helper()
	select {
	case _, more := <-changes:
		return more
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happens")
		return false
	}
}

func TestChanges(t *testing.T) {
	client := fake.NewClientset()
	begun := make(chan struct{}, 2)
	var watches []*watch.RaceFreeFakeWatcher
	client.PrependWatchReactor("*", func(action ktesting.Action) (bool, watch.Interface, error) {
		if action.GetResource().Resource == Events {
			return true, nil, errors.New("forbidden")
		}
		w := watch.NewRaceFreeFake()
		watches = append(watches, w)
		begun <- struct{}{}
		return true, w, nil
	})
	c := &Cluster{Client: client}
	ctx, cancel := context.WithCancel(t.Context())
	changes := c.Changes("e2e", Pods)(ctx)
	<-begun
	for _, change := range []func(runtime.Object){watches[0].Add, watches[0].Modify, watches[0].Delete} {
		change(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
		if !next(t, changes) {
			t.Fatal("the changes have ended")
		}
	}
	cancel()
	if next(t, changes) {
		t.Error("there was a change after the end")
	}

	changes = c.NamespaceChanges("e2e")(t.Context())
	<-begun
	watches[1].Stop() // as the API server does after some time
	if next(t, changes) {
		t.Error("there was a change after the end of the watch")
	}
	if next(t, c.Changes("e2e", Pods, Events)(t.Context())) {
		t.Error("there was a change of what cannot be watched")
	}
}
