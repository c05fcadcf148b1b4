package preflight

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/ledger"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

const (
	cleanUpLimit = 2 * time.Minute // at wait scale 1
	logLimit     = 200             // of a log in a message, in bytes

	otherImage     = "make the image available to the nodes, or name another one in the manifest or, for memcached, with MEMCACHED_IMAGE"
	otherMemcached = "name an image with memcached 1.5.18 or newer, the first with --memory-file, in the manifest or with MEMCACHED_IMAGE"
	seeScheduling  = "make a node with the driver fit for pods, or add the tolerations that it wants to the manifest"
	givePatience   = "see that the nodes can reach the registry and start pods; WAIT_SCALE=pod-ends=3 gives them more time"
	allowPods      = "let the user of the kubeconfig make namespaces and pods, and read their logs"
)

// checkImages starts a pod with the images of each manifest on a node with the
// driver, which shows that it has them or can get them, and asks memcached for
// its version and options.
func checkImages(ctx context.Context, s Subject) (f finding) {
	var distinct []*deploy.Manifest
	for _, m := range s.Manifests {
		if !slices.ContainsFunc(distinct, func(d *deploy.Manifest) bool { return sameProbe(d, m) }) {
			distinct = append(distinct, m)
		}
	}
	if len(distinct) == 0 {
		return unknown("select specs that deploy something", "there is no manifest, hence no image")
	}
	ledgers := make([]ledger.Ledger, len(distinct))
	defer func() {
		limit := time.Duration(float64(cleanUpLimit) * s.Waiter.Scale.Of(wait.NamespaceGone))
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit+time.Minute)
		defer cancel()
		for i := range ledgers {
			if err := ledgers[i].Close(limited); err != nil {
				f = all(f, failed("remove it by hand, and see why the cluster could not", "the check left something behind: %v", err))
			}
		}
	}()
	findings := make([]finding, len(distinct))
	var probing sync.WaitGroup
	for i, m := range distinct {
		probing.Go(func() { findings[i] = probe(ctx, s, &ledgers[i], m) })
	}
	probing.Wait()
	return all(findings...)
}

// sameProbe reports whether the pods for two manifests would be the same.
func sameProbe(a, b *deploy.Manifest) bool {
	return reflect.DeepEqual(probePod(a, nil).Spec, probePod(b, nil).Spec) && reflect.DeepEqual(a.Home, b.Home) &&
		len(a.Prerequisites()) == 0 && len(b.Prerequisites()) == 0
}

// registered are the nodes with the manifest's driver; none when that cannot
// be known, which is for other checks to say.
func registered(ctx context.Context, s Subject, m *deploy.Manifest) []string {
	driver, _, err := driverOf(ctx, s, m)
	if err != nil || driver == "" {
		return nil
	}
	with, _, err := nodesWith(ctx, s, driver)
	if err != nil {
		return nil
	}
	slices.Sort(with)
	return with
}

// probe runs the pod of a manifest in a namespace like the deployment's own.
func probe(ctx context.Context, s Subject, l *ledger.Ledger, m *deploy.Manifest) finding {
	namespace := "e2e-images-" + rand.String(5)
	nodes := registered(ctx, s, m)
	m, err := m.In(namespace)
	if err != nil {
		return unknown("correct the manifest", "%v", err)
	}
	if err := deploy.Namespace(ctx, s.Cluster, s.Waiter, l, namespace, m.Home); err != nil {
		return unknown(allowPods, "%v", err)
	}
	if err := m.Prepare(ctx, s.Cluster, l); err != nil {
		return unknown(allowPods, "%v", err)
	}
	pod := probePod(m, nodes)
	images := imagesOf(pod)
	pods := s.Cluster.Client.CoreV1().Pods(namespace)
	made, err := pods.Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return unknown(allowPods, "make a pod of %s: %v", images, err)
	}
	l.Add("pod "+made.Name, func(ctx context.Context) error {
		now := int64(1)
		err := pods.Delete(ctx, made.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	ended, err := deploy.AwaitPod(ctx, s.Cluster, s.Waiter, wait.PodEnds, "a pod of "+images+" to end", made, func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	if err != nil {
		return notEnded(ended, err)
	}
	for _, status := range ended.Status.ContainerStatuses {
		if status.ImageID == "" {
			return failed(otherImage, "a pod of %s ended as %s without the image: %s", status.Image, ended.Status.Phase, reason(status))
		}
	}
	log, err := s.Cluster.Logs(ctx, namespace, ended.Name, deploy.Container, false)
	if err != nil && !neverStarted(ended) { // which may leave no log
		return unknown(allowPods, "%v", err)
	}
	f := memcachedOutput(ended, log)
	if others := strings.Split(images, ", ")[1:]; f.state == report.CheckPassed && len(others) > 0 {
		f.saw += "; it has " + strings.Join(others, ", ") + ", too"
	}
	return f
}

func imagesOf(pod *corev1.Pod) string {
	var images []string
	for _, c := range pod.Spec.Containers {
		images = append(images, c.Image)
	}
	return strings.Join(images, ", ")
}

func reason(status corev1.ContainerStatus) string {
	switch {
	case status.State.Waiting != nil:
		return status.State.Waiting.Reason + ": " + status.State.Waiting.Message
	case status.State.Terminated != nil:
		return status.State.Terminated.Reason + ": " + status.State.Terminated.Message
	}
	return "no reason is given"
}

// pulling are the reasons of a container that waits because of its image.
var pulling = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}

// notEnded reports why a pod did not end.
func notEnded(pod *corev1.Pod, err error) finding {
	var stopped *wait.StoppedError
	for _, status := range pod.Status.ContainerStatuses {
		waiting := status.State.Waiting
		if waiting == nil || !slices.Contains(pulling, waiting.Reason) || !errors.As(err, &stopped) {
			continue
		}
		if len(pod.Spec.ImagePullSecrets) > 0 {
			// The secrets are not in the namespace of this pod.
			return unknown("the specs will show it; this check has no access to the manifest's secrets",
				"%s cannot be pulled without the secrets of the manifest: %s", status.Image, reason(status))
		}
		return failed(otherImage, "%s cannot be pulled: %s", status.Image, reason(status))
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && errors.As(err, &stopped) {
			return failed(seeScheduling, "a pod of %s cannot be scheduled: %s", imagesOf(pod), c.Message)
		}
	}
	return unknown(givePatience, "%v", err)
}

// option is one of memcached, as its help prints it.
type option struct {
	name string
	help *regexp.Regexp
}

// options are what requirements and deployments are about. Some depend on how
// memcached was built.
var options = []option{
	{"memory-file", regexp.MustCompile(`(?m)^-e, --memory-file`)},
	{"enable-shutdown", regexp.MustCompile(`(?m)^-A, --enable-shutdown`)},
	{"auth-file", regexp.MustCompile(`(?m)^-Y, --auth-file`)},
	{"enable-sasl", regexp.MustCompile(`(?m)^-S, --enable-sasl`)},
	{"enable-ssl", regexp.MustCompile(`(?m)^-Z, --enable-ssl`)},
	{"extstore", regexp.MustCompile(`(?m)^ +- ext_path:`)},
	{"proxy", regexp.MustCompile(`(?m)^ +- proxy_config:`)},
}

// memcachedOutput reads what probeCommand printed.
func memcachedOutput(pod *corev1.Pod, log string) finding {
	image := pod.Spec.Containers[0].Image
	first, help, _ := strings.Cut(strings.TrimSpace(log), "\n")
	version, ok := strings.CutPrefix(first, "memcached ")
	if !ok {
		return failed(otherMemcached, "%s: memcached -h ended the container with %s and printed %q", image, ending(pod), cut(log))
	}
	var has []string
	for _, o := range options {
		if o.help.MatchString(help) {
			has = append(has, o.name)
		}
	}
	if !slices.Contains(has, "memory-file") {
		return failed(otherMemcached, "%s: memcached %s has no option --memory-file", image, version)
	}
	f := passed("%s: memcached %s on node %s", image, version, pod.Spec.NodeName)
	from := fmt.Sprintf("memcached -h in a pod of %s on node %s", image, pod.Spec.NodeName)
	f.facts = []report.Fact{
		{Group: "memcached", Name: "version", Value: version, Evidence: from},
		{Group: "memcached", Name: "options", Value: orNone(has), Evidence: from},
		{Group: "memcached", Name: "image", Value: image, Evidence: "the manifests"},
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == deploy.Container {
			f.facts = append(f.facts, report.Fact{Group: "memcached", Name: "image digest", Value: status.ImageID, Evidence: "imageID of that pod"})
		}
	}
	return f
}

// neverStarted reports whether the runtime could not start memcached's container, as when its image has no such program.
func neverStarted(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == deploy.Container && s.State.Terminated != nil && slices.Contains([]string{"StartError", "ContainerCannotRun"}, s.State.Terminated.Reason)
	})
}

func ending(pod *corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if t := status.State.Terminated; t != nil && status.Name == deploy.Container {
			return oneline.Of(fmt.Sprintf("exit code %d %s %s", t.ExitCode, t.Reason, t.Message))
		}
	}
	return "an unknown exit code"
}

func cut(text string) string {
	if text = oneline.Of(text); len(text) > logLimit {
		return strings.ToValidUTF8(text[:logLimit], "") + " ..."
	}
	return text
}
