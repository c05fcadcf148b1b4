package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/memcached"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

// A workbench is a pod with images, identities, variables and the claim of a
// pod of the deployment, or one like it, in which nothing runs but what the spec
// starts: the commands of the init containers, each in a container like its own, and that
// of memcached. What differs from the deployment is who starts them. So a spec
// sees many starts on one volume in the time that one start of a pod takes.
type workbench struct {
	e              *framework.Env
	pod            *corev1.Pod
	name           string // of the pod, for failures
	file           string // the memory file
	inits          []corev1.Container
	command        []string
	variables      map[string]map[string]string // by container
	downLongEnough func()                       // since the last stop; nil before the first
}

// newWorkbench takes the place of p, which is gone, or that of besides(p).
func newWorkbench(ctx context.Context, e *framework.Env, p *corev1.Pod, file string) *workbench {
	e.Step("make a workbench out of %s", framework.Name("pod", p))
	w := &workbench{e: e, file: file, variables: map[string]map[string]string{}}
	grace := int64(1)
	template := p.Spec.DeepCopy()
	var containers []corev1.Container
	for _, c := range template.InitContainers {
		if c.RestartPolicy == nil {
			w.inits = append(w.inits, c)
			containers = append(containers, idle(c))
		}
	}
	for _, c := range template.Containers {
		if c.Name != deploy.Container {
			continue
		}
		w.command = slices.Concat(c.Command, c.Args)
		containers = append(containers, idle(c))
	}
	if len(w.command) == 0 {
		e.NoError(errors.New("its container memcached leaves the command to the image"), "start memcached as %s does", framework.Name("pod", p))
	}
	template.InitContainers, template.Containers, template.NodeName = nil, containers, ""
	template.RestartPolicy, template.TerminationGracePeriodSeconds = corev1.RestartPolicyNever, &grace
	template.Hostname, template.Subdomain = "", ""
	w.pod = e.RunPod(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "workbench-", Namespace: p.Namespace}, Spec: *template})
	w.name = framework.Name("pod", w.pod)
	return w
}

// besides is p with claims of its own, like those of p, for a workbench beside
// the one that takes the place of p.
func besides(ctx context.Context, e *framework.Env, p *corev1.Pod) *corev1.Pod {
	p = p.DeepCopy()
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		like := currentClaim(ctx, e, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: v.PersistentVolumeClaim.ClaimName}}).Spec
		v.PersistentVolumeClaim.ClaimName = makeClaim(ctx, e, ptr.Deref(like.StorageClassName, ""), like.Resources.Requests.Storage().String(),
			ptr.Deref(like.VolumeMode, corev1.PersistentVolumeFilesystem)).Name
	}
	return p
}

// expand makes words of a container's command what the kubelet makes of them,
// where memcached's has args as further arguments.
func (w *workbench) expand(ctx context.Context, container string, words []string, args string) []string {
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

// environment is read once, and only where a command refers to it.
func (w *workbench) environment(ctx context.Context, container string) map[string]string {
	if w.variables[container] == nil {
		w.variables[container] = map[string]string{}
		for line := range strings.Lines(succeed(ctx, w.e, w.pod, container, "read the variables of container "+container+" in "+w.name, "env")) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			w.variables[container][name] = value
		}
	}
	return w.variables[container]
}

// remove makes room for a pod of the deployment.
func (w *workbench) remove(ctx context.Context) { w.e.RemovePod(ctx, w.pod) }

// sh runs a script with memcached's identity; it has to succeed.
func (w *workbench) sh(ctx context.Context, script string, args ...string) string {
	command := append([]string{"sh", "-c", script, "sh"}, args...)
	return strings.TrimSpace(succeed(ctx, w.e, w.pod, deploy.Container, fmt.Sprintf("run %q in %s", script, w.name), command...))
}

// run is a memcached that was started.
type run struct {
	w       *workbench
	initLog string
	output  output
	client  *cached // once it was used
	ended   chan struct{}
	code    int // once ended
	err     error
}

func (r *run) log() string { return r.initLog + r.output.String() }

// output is what a command has said so far.
type output struct {
	mu        sync.Mutex
	text      strings.Builder
	once      sync.Once
	listening chan struct{} // closed once somebody listens
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if strings.Contains(o.text.String(), listening) {
		o.once.Do(func() { close(o.listening) })
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Replace(o.text.String(), listening+"\n", "", 1)
}

// listening is what launch says.
const listening = "workbench: memcached listens"

// launch becomes the command in its arguments, and says when somebody listens
// on the port, which is $1 in hexadecimal digits.
const launch = `port=$1; shift
(
	until grep -q -i ":$port 0*:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null; do
		sleep 0.1
		kill -0 $$ 2>/dev/null || exit
	done
	echo "` + listening + `"
) &
exec "$@"`

// start does what the kubelet does when it starts a pod, with further
// arguments for memcached, once a warm start is possible. The error is about
// memcached, or a script before it, that does not come up.
func (w *workbench) start(ctx context.Context, args string) (*run, error) {
	r := &run{w: w, ended: make(chan struct{}), output: output{listening: make(chan struct{})}}
	for _, c := range w.inits {
		command := w.expand(ctx, c.Name, slices.Concat(c.Command, c.Args), "")
		done, err := w.e.Cluster.Exec(ctx, w.pod.Namespace, w.pod.Name, c.Name, command...)
		w.e.NoError(err, "run init container %s in %s", c.Name, w.name)
		r.initLog += done.Stdout + done.Stderr
		if done.ExitCode != 0 {
			return r, fmt.Errorf("init container %s ended with exit code %d: %s", c.Name, done.ExitCode, tailOf(r.initLog))
		}
	}
	if w.downLongEnough != nil {
		w.downLongEnough()
	}
	command := slices.Concat([]string{"sh", "-c", launch, "sh", fmt.Sprintf("%04X", deploy.Port(w.pod)), "env", deploy.ArgsVariable + "=" + args},
		w.expand(ctx, deploy.Container, w.command, args))
	go func() {
		defer close(r.ended)
		r.code, r.err = w.e.Cluster.ExecTo(ctx, &r.output, &r.output, w.pod.Namespace, w.pod.Name, deploy.Container, command...)
	}()
	err := w.e.Waiter.Until(ctx, wait.MemcachedUp, "memcached in "+w.name+" to listen", func(ctx context.Context) (bool, string, error) {
		select {
		case <-r.output.listening:
			return true, "it listens", nil
		case <-r.ended:
			return false, "", wait.Stop(fmt.Errorf("memcached ended with exit code %d (%v): %s", r.code, r.err, tailOf(r.log())))
		case <-ctx.Done():
			return false, "nobody listens; log: " + tailOf(r.log()), nil
		}
	})
	return r, err
}

func tailOf(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], "; ")
}

// stop ends memcached as the kubelet does, with SIGTERM to the process of the
// container, and returns its log.
func (r *run) stop(ctx context.Context) string { return r.end(ctx, "TERM", "top") }

// kill ends memcached without any warning.
func (r *run) kill(ctx context.Context) string { return r.end(ctx, "KILL", "itself") }

func (r *run) end(ctx context.Context, signal, whom string) string {
	r.disconnect()
	succeed(ctx, r.w.e, r.w.pod, deploy.Container, fmt.Sprintf("send SIG%s in %s", signal, r.w.name), "sh", "-c", signalScript, "sh", signal, whom)
	r.await(ctx)
	return r.log()
}

// await waits until memcached has ended.
func (r *run) await(ctx context.Context) {
	err := r.w.e.Waiter.Until(ctx, wait.MemcachedDown, "memcached in "+r.w.name+" to end", func(ctx context.Context) (bool, string, error) {
		select {
		case <-r.ended:
			return true, fmt.Sprintf("exit code %d", r.code), nil
		case <-ctx.Done():
			return false, "it runs", nil
		}
	})
	if err == nil {
		err = r.err
	}
	r.w.e.NoError(err, "see the end of memcached in %s", r.w.name)
	r.w.downLongEnough = awaitDowntime(ctx, r.w.e)
}

// mustStart ends the spec with req not met when memcached does not come up.
func (w *workbench) mustStart(ctx context.Context, req spec.ReqID, says, args string) *run {
	r, err := w.start(ctx, args)
	w.e.Require(req, says, w.name, err, framework.Succeed)
	return r
}

// hurry has the next start come at once after the stop.
func (w *workbench) hurry() { w.downLongEnough = nil }

// connected is a client of the memcached, for as long as that runs.
func (r *run) connected(ctx context.Context) *cached {
	if r.client == nil {
		r.client = open(ctx, r.w.e, r.w.pod)
	}
	return r.client
}

// disconnect is for who stops memcached by other ways than stop and kill.
func (r *run) disconnect() {
	if r.client != nil {
		r.client.close()
		r.client = nil
	}
}

func (r *run) store(ctx context.Context, items []memcached.Item) {
	r.connected(ctx).store(ctx, r.w.e, items...)
}

func (r *run) served(ctx context.Context, items []memcached.Item) string {
	return served(ctx, r.w.e, r.connected(ctx), items)
}
