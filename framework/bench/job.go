package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/wait"
)

// Placement says on which node the clients run, seen from the server.
type Placement string

// Placements of clients.
const (
	Anywhere    Placement = "any"
	SameNode    Placement = "same"
	AnotherNode Placement = "another"
)

// Job describes the clients to be made.
type Job struct {
	// Server is the deployment in whose namespace and on whose nodes the clients run.
	Server  *deploy.Manifest
	Image   string // of the clients, with a shell, head and chmod
	Name    string
	Program string // path of the clients' static program, up to a hyphen and the architecture of the node
	Count   int
	Place   Placement
	Node    string // of the server; for SameNode and AnotherNode
}

const (
	container  = "load"
	workDir    = "/load"
	clientPath = workDir + "/load"
	// longest is how long a Job may take when nobody ends it.
	longest = 2 * time.Hour
)

// object is an Indexed Job. Each of its pods reads the size of its program
// and the program from standard input, becomes it, and ends when standard input does. One that fails is not
// replaced: its index is among the Job's failed ones.
func (j Job) object() *batchv1.Job {
	none, grace := int32(0), int64(5)
	count, deadline, indexed := int32(j.Count), int64(longest.Seconds()), batchv1.IndexedCompletion
	pod := j.Server.Companion("", corev1.Container{
		Name: container, Image: j.Image, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{"sh", "-c", `read -r size && head -c "$size" >"$1" && chmod 0700 "$1" && exec "$1"`, "sh", clientPath},
		Stdin:   true, StdinOnce: true,
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "work", MountPath: workDir}},
	})
	pod.Labels = j.Server.ClientLabels(pod.Labels)
	pod.Spec.TerminationGracePeriodSeconds = &grace
	pod.Spec.Volumes = []corev1.Volume{{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	if j.Place != Anywhere {
		pod.Spec.Affinity = j.affinity(pod.Spec.Affinity)
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: j.Server.Namespace, Name: j.Name},
		Spec: batchv1.JobSpec{
			CompletionMode: &indexed, Completions: &count, Parallelism: &count,
			BackoffLimitPerIndex: &none, ActiveDeadlineSeconds: &deadline,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations}, Spec: pod.Spec},
		},
	}
}

// affinity adds the node of the place to the nodes on which the deployment may run.
func (j Job) affinity(deployment *corev1.Affinity) *corev1.Affinity {
	operator := corev1.NodeSelectorOpIn
	if j.Place == AnotherNode {
		operator = corev1.NodeSelectorOpNotIn
	}
	here := corev1.NodeSelectorRequirement{Key: metav1.ObjectNameField, Operator: operator, Values: []string{j.Node}}
	terms := []corev1.NodeSelectorTerm{{}}
	var preferred []corev1.PreferredSchedulingTerm
	if deployment != nil {
		preferred = deployment.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
		if required := deployment.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
			terms = required.NodeSelectorTerms
		}
	}
	for i := range terms { // one of which has to match
		terms[i].MatchFields = append(terms[i].MatchFields, here)
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution:  &corev1.NodeSelector{NodeSelectorTerms: terms},
		PreferredDuringSchedulingIgnoredDuringExecution: preferred,
	}}
}

// Start makes the Job, waits for its pods, streams the program into them and
// waits until they take orders. The removal of the Job is registered in l.
func Start(ctx context.Context, c *cluster.Cluster, w wait.Waiter, l *ledger.Ledger, j Job) (*Clients, error) {
	jobs := c.Client.BatchV1().Jobs(j.Server.Namespace)
	job, err := jobs.Create(ctx, j.object(), metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return nil, fmt.Errorf("make the Job of load clients: %w", err)
	}
	l.Add(fmt.Sprintf("Job %s/%s", j.Server.Namespace, j.Name), func(ctx context.Context) error { return remove(ctx, c, w, job) })
	pods, err := running(ctx, c, w, job)
	if err != nil {
		return nil, fmt.Errorf("run the load clients: %w", err)
	}
	programs, err := j.programs(ctx, c, pods)
	if err != nil {
		return nil, err
	}
	clients := &Clients{waiter: w, pods: pods}
	// The streams live as long as the clients and not as long as one call.
	streams, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.Add("the streams of "+j.Name, func(context.Context) error { cancel(); return nil })
	for _, p := range pods {
		to := func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
			return c.Attach(ctx, p.Namespace, p.Name, container, stdin, stdout, stderr)
		}
		clients.links = append(clients.links, newLink(streams, "pod "+p.Name, programs[p.Spec.NodeName], to))
	}
	return clients, clients.begin(ctx)
}

// programs returns what is streamed to the pods of each node.
func (j Job) programs(ctx context.Context, c *cluster.Cluster, pods []corev1.Pod) (map[string][]byte, error) {
	programs := map[string][]byte{}
	for _, p := range pods {
		name := p.Spec.NodeName
		if programs[name] != nil {
			continue
		}
		node, err := c.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("find the architecture of node %s: %w", name, err)
		}
		program, err := os.ReadFile(j.Program + "-" + node.Status.NodeInfo.Architecture)
		if err != nil {
			return nil, fmt.Errorf("read the load client for node %s: %w; make e2e builds those for amd64 and arm64", name, err)
		}
		programs[name] = fmt.Appendf(nil, "%d\n%s", len(program), program)
	}
	return programs, nil
}

// running waits for as many pods as the Job wants, and for each to run.
func running(ctx context.Context, c *cluster.Cluster, w wait.Waiter, job *batchv1.Job) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	want := int(*job.Spec.Completions)
	err := w.Until(ctx, wait.PodRuns, fmt.Sprintf("the %d pods of Job %s/%s", want, job.Namespace, job.Name), func(ctx context.Context) (bool, string, error) {
		list, err := c.Client.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name})
		if err != nil {
			return false, "", err
		}
		pods = list.Items
		return len(pods) == want, fmt.Sprintf("%d of %d pods were made", len(pods), want), nil
	})
	if err != nil {
		return nil, err
	}
	for i := range pods {
		what := fmt.Sprintf("pod %s/%s to run", pods[i].Namespace, pods[i].Name)
		p, err := deploy.AwaitPod(ctx, c, w, wait.PodRuns, what, &pods[i], func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodPending })
		if err != nil {
			return nil, err
		}
		pods[i] = *p
	}
	return pods, nil
}

// remove deletes the Job with its pods and waits until all are gone.
func remove(ctx context.Context, c *cluster.Cluster, w wait.Waiter, job *batchv1.Job) error {
	policy := metav1.DeletePropagationForeground
	err := c.Client.BatchV1().Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{
		PropagationPolicy: &policy, Preconditions: &metav1.Preconditions{UID: &job.UID},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.Until(ctx, wait.LoadGone, fmt.Sprintf("the removal of Job %s/%s", job.Namespace, job.Name), func(ctx context.Context) (bool, string, error) {
		current, err := c.Client.BatchV1().Jobs(job.Namespace).Get(ctx, job.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return true, "gone", nil
		case err != nil:
			return false, "", err
		}
		return current.UID != job.UID, fmt.Sprintf("%d pods are active", current.Status.Active), nil
	})
}

// End lets go of the clients and waits until the Job says of every one of them
// how it ended. It is an error when one failed that was not lost before.
func (c *Clients) End(ctx context.Context, cl *cluster.Cluster, j Job) error {
	for _, l := range c.links {
		l.letGo()
	}
	var ended batchv1.JobStatus
	err := c.waiter.Until(ctx, wait.LoadGone, fmt.Sprintf("Job %s/%s to end", j.Server.Namespace, j.Name), func(ctx context.Context) (bool, string, error) {
		job, err := cl.Client.BatchV1().Jobs(j.Server.Namespace).Get(ctx, j.Name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		ended = job.Status
		done := int(ended.Succeeded+ended.Failed) >= j.Count
		return done, fmt.Sprintf("%d succeeded, %d failed, %d active", ended.Succeeded, ended.Failed, ended.Active), nil
	})
	if err != nil {
		return err
	}
	if ended.Failed == 0 || len(c.lost) > 0 {
		return nil
	}
	which := ""
	if ended.FailedIndexes != nil {
		which = ", index " + *ended.FailedIndexes
	}
	return fmt.Errorf("%d load clients of Job %s/%s failed%s", ended.Failed, j.Server.Namespace, j.Name, which)
}
