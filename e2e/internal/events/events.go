// Package events reads and awaits events of Kubernetes objects.
package events

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/wait"
)

// Of returns all events about an object, one line each.
func Of(ctx context.Context, e *framework.Env, namespace string, uid types.UID) ([]string, error) {
	list, err := e.Cluster.Client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(uid)})
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(list.Items))
	for i, event := range list.Items {
		lines[i] = fmt.Sprintf("%s %s: %s", event.Type, event.Reason, oneline.Words(event.Message))
	}
	return lines, nil
}

// AwaitWarning waits for a warning about an object whose line has all of words,
// and returns it. The error lists the events that were seen instead.
func AwaitWarning(ctx context.Context, e *framework.Env, kind string, o metav1.Object, words ...string) (string, error) {
	return await(ctx, e, kind, o, corev1.EventTypeWarning, words)
}

// Await is [AwaitWarning] for an event of any type.
func Await(ctx context.Context, e *framework.Env, kind string, o metav1.Object, words ...string) (string, error) {
	return await(ctx, e, kind, o, "", words)
}

func await(ctx context.Context, e *framework.Env, kind string, o metav1.Object, eventType string, words []string) (string, error) {
	var found string
	what := fmt.Sprintf("an event of %s with %q", framework.Name(kind, o), words)
	err := e.Watching(o.GetNamespace(), cluster.Events).Until(ctx, wait.EventSeen, what, func(ctx context.Context) (bool, string, error) {
		lines, err := Of(ctx, e, o.GetNamespace(), o.GetUID())
		if err != nil {
			return false, "", err
		}
		i := slices.IndexFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, eventType) && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
		})
		if i >= 0 {
			found = lines[i]
		}
		return i >= 0, strings.Join(lines, "; "), nil
	})
	return found, err
}
