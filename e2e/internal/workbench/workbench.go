// Package workbench starts memcached on the volume of a deployment many times,
// without the time that the start of a pod takes.
package workbench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/e2e/internal/cache"
	"pmem-memcached-e2e/e2e/internal/idle"
	"pmem-memcached-e2e/e2e/internal/storage"
	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
)

// A Workbench is a pod with images, identities, variables and the claim of a pod
// of the deployment, or a similar claim. Nothing runs in it except what the spec
// starts: the commands of the init containers, each in a container like the
// original, and that of memcached.
type Workbench struct {
	Name string // of the pod, for failures
	File string // the memory file

	e              *framework.Env
	pod            *corev1.Pod
	inits          []corev1.Container
	command        []string                     // of memcached
	lists          bool                         // further arguments go into the command
	given          string                       // arguments that the deployment has in a variable
	variables      map[string]map[string]string // by container
	downLongEnough func()                       // since the last stop; nil before the first
}

// New makes a workbench for the cache c of a deployment, in place of p, which is its pod and is
// gone, or [WithOwnClaims] of that.
func New(ctx context.Context, e *framework.Env, d *deploy.Deployment, c cache.Cache, p *corev1.Pod) *Workbench {
	e.Step("make a workbench from %s", framework.Name("pod", p))
	w := &Workbench{e: e, File: c.File.Path, command: c.Command, lists: d.ListsArgs(), variables: map[string]map[string]string{}}
	var containers []corev1.Container
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy == nil {
			w.inits = append(w.inits, c)
			containers = append(containers, c)
		}
	}
	w.pod = e.RunPod(ctx, d.Stand(p, "workbench-", append(containers, deploy.MemcachedContainer(p.Spec))...))
	w.Name = framework.Name("pod", w.pod)
	if !w.lists {
		w.given = idle.Run(ctx, e, w.pod, deploy.Container, "read the arguments of memcached in "+w.Name, "sh", "-c", `printf %s "$`+deploy.ArgsVariable+`"`)
	}
	return w
}

// WithOwnClaims is p with new claims like those of p, for a workbench that runs in
// parallel with p or with another workbench.
func WithOwnClaims(ctx context.Context, e *framework.Env, p *corev1.Pod) *corev1.Pod {
	p = p.DeepCopy()
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		like := storage.CurrentClaim(ctx, e, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: v.PersistentVolumeClaim.ClaimName}}).Spec
		v.PersistentVolumeClaim.ClaimName = storage.MakeClaim(ctx, e, ptr.Deref(like.StorageClassName, ""), like.Resources.Requests.Storage().String(),
			ptr.Deref(like.VolumeMode, corev1.PersistentVolumeFilesystem)).Name
	}
	return p
}

// Sets reports whether the arguments of the deployment have one of the options.
func (w *Workbench) Sets(options ...string) bool {
	return slices.ContainsFunc(strings.Fields(strings.Join(append(w.command, w.given), " ")), func(word string) bool {
		return slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(word, o) })
	})
}

// expand replaces references to variables in a command, as the kubelet does. args
// are further arguments of memcached.
func (w *Workbench) expand(ctx context.Context, container string, words []string, args string) []string {
	var expanded []string
	for _, word := range words {
		expanded = append(expanded, deploy.Expand(word, func(name string) (string, bool) {
			if container == deploy.Container && name == deploy.ArgsVariable {
				return args, true
			}
			value, ok := w.environment(ctx, container)[name]
			return value, ok
		}))
	}
	return expanded
}

// environment reads the variables of a container once.
func (w *Workbench) environment(ctx context.Context, container string) map[string]string {
	if w.variables[container] == nil {
		w.variables[container] = map[string]string{}
		for line := range strings.Lines(idle.Run(ctx, w.e, w.pod, container, "read the variables of container "+container+" in "+w.Name, "env")) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			w.variables[container][name] = value
		}
	}
	return w.variables[container]
}

// Remove removes the pod, so that a pod of the deployment can use its claim.
func (w *Workbench) Remove(ctx context.Context) { w.e.RemovePod(ctx, w.pod) }

// Sh runs a script with memcached's identity and returns its output.
func (w *Workbench) Sh(ctx context.Context, script string, args ...string) string {
	command := append([]string{"sh", "-c", script, "sh"}, args...)
	return strings.TrimSpace(idle.Run(ctx, w.e, w.pod, deploy.Container, fmt.Sprintf("run %q in %s", script, w.Name), command...))
}
