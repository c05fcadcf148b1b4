package preflight

import (
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/wait"
)

// memcachedHelp is what the probe's command prints on this machine.
func memcachedHelp(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(probeCommand[0], probeCommand[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s; install memcached (Debian: apt-get install memcached)", probeCommand, err, out)
	}
	return string(out)
}

// kubelet gives every pod that is made a status, and its log.
type kubelet struct {
	mu     sync.Mutex
	pods   []*corev1.Pod // as they were made
	status func(*corev1.Pod)
	log    string
}

func (k *kubelet) client(objects ...runtime.Object) *fake.Clientset {
	client := fake.NewClientset(objects...)
	client.PrependReactor("create", "pods", func(action ktesting.Action) (bool, runtime.Object, error) {
		pod := action.(ktesting.CreateAction).GetObject().(*corev1.Pod)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.pods = append(k.pods, pod.DeepCopy())
		pod.Name = pod.GenerateName + string(rune('a'+len(k.pods)-1)) // the fake makes no names
		pod.Spec.NodeName = "worker"
		for _, c := range pod.Spec.Containers {
			pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
				Name: c.Name, Image: c.Image, ImageID: "sha256:" + c.Image,
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}},
			})
		}
		pod.Status.Phase = corev1.PodSucceeded
		if k.status != nil {
			k.status(pod)
		}
		return false, nil, nil
	})
	client.PrependReactor("get", "pods", func(action ktesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "log" {
			return false, nil, nil
		}
		return true, &runtime.Unknown{Raw: []byte(k.log)}, nil
	})
	client.PrependReactor("get", "serviceaccounts", func(ktesting.Action) (bool, runtime.Object, error) {
		return true, &corev1.ServiceAccount{}, nil
	})
	return client
}

// waits says why the containers of a pod wait.
func waits(pod *corev1.Pod, reason, message string) {
	pod.Status.Phase, pod.Spec.NodeName = corev1.PodPending, ""
	for i := range pod.Status.ContainerStatuses {
		pod.Status.ContainerStatuses[i].ImageID = ""
		pod.Status.ContainerStatuses[i].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
}

func ends(pod *corev1.Pod, code int32, reason, message string) {
	pod.Status.Phase = corev1.PodFailed
	pod.Status.ContainerStatuses[0].State.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}
}

func TestImages(t *testing.T) {
	help := memcachedHelp(t)
	version, _, _ := strings.Cut(help, "\n")
	pull := func(p *corev1.Pod) { waits(p, "ErrImagePull", "manifest unknown") }
	for _, test := range []struct {
		name      string
		manifests []string
		status    func(*corev1.Pod)
		log       string
		refuse    [2]string // verb and resource
		pods      int
		state     report.CheckState
		saw       string
		remedy    string
	}{
		{name: "one pod for both manifests is enough when it is the same", manifests: []string{deploytest.Claim, strings.ReplaceAll(deploytest.Claim, "name: cache", "name: other")}, log: help, pods: 1,
			state: report.CheckPassed, saw: "memcached:1: " + version + " on node worker"},
		{name: "one pod each when they go to different nodes", manifests: []string{deploytest.Inline, deploytest.Claim}, log: help, pods: 2,
			state: report.CheckPassed, saw: "memcached:1: " + version + " on node worker"},
		{name: "another image lacks the command", manifests: []string{sidecar}, log: help, pods: 1,
			status: func(p *corev1.Pod) {
				p.Status.Phase = corev1.PodFailed
				p.Status.ContainerStatuses[1].State.Terminated = &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError"}
			},
			state: report.CheckPassed, saw: "memcached:1: " + version + " on node worker; it has exporter:2, too"},
		{name: "cannot be pulled", manifests: []string{deploytest.Inline}, status: pull, pods: 1,
			state: report.CheckFailed, saw: "memcached:1 cannot be pulled: ErrImagePull: manifest unknown", remedy: otherImage},
		{name: "another image cannot be pulled", manifests: []string{sidecar}, pods: 1,
			status: func(p *corev1.Pod) {
				first := p.Status.ContainerStatuses[0]
				waits(p, "ImagePullBackOff", "denied")
				p.Status.ContainerStatuses[0] = first
			},
			state: report.CheckFailed, saw: "exporter:2 cannot be pulled: ImagePullBackOff: denied", remedy: otherImage},
		{name: "cannot be pulled without secrets", manifests: []string{secret}, status: pull, pods: 1,
			state:  report.CheckUnknown,
			saw:    "memcached:1 cannot be pulled without the secrets of the manifest: ErrImagePull: manifest unknown",
			remedy: "the specs will show it; this check has no access to the manifest's secrets"},
		{name: "cannot be scheduled", manifests: []string{deploytest.Inline}, pods: 1,
			status: func(p *corev1.Pod) {
				p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled,
					Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/2 nodes are available"}}}
			},
			state: report.CheckFailed, saw: "a pod of memcached:1 cannot be scheduled: 0/2 nodes are available", remedy: seeScheduling},
		{name: "image without memcached", manifests: []string{deploytest.Inline}, pods: 1,
			status: func(p *corev1.Pod) {
				ends(p, 128, "StartError", `exec: "memcached": executable file not found in $PATH`)
			},
			state:  report.CheckFailed,
			saw:    `memcached:1: memcached -h ended the container with exit code 128 StartError exec: "memcached": executable file not found in $PATH and printed ""`,
			remedy: otherMemcached},
		{name: "memcached without memory file", manifests: []string{deploytest.Inline}, log: "memcached 1.4.39\n-h, --help   print this help and exit\n", pods: 1,
			state: report.CheckFailed, saw: "memcached:1: memcached 1.4.39 has no option --memory-file", remedy: otherMemcached},
		{name: "evicted before it had the image", manifests: []string{deploytest.Inline}, pods: 1,
			status: func(p *corev1.Pod) { waits(p, "ContainerCreating", ""); p.Status.Phase = corev1.PodFailed },
			state:  report.CheckFailed, saw: "a pod of memcached:1 ended as Failed without the image: ContainerCreating:", remedy: otherImage},
		{name: "no right to make a namespace", manifests: []string{deploytest.Inline}, refuse: [2]string{"create", "namespaces"},
			state: report.CheckUnknown, saw: "creating namespace NAMESPACE: refused by the test", remedy: allowPods},
		{name: "no right to make a pod", manifests: []string{deploytest.Inline}, refuse: [2]string{"create", "pods"},
			state: report.CheckUnknown, saw: "make a pod of memcached:1: refused by the test", remedy: allowPods},
		{name: "the namespace cannot be removed", manifests: []string{deploytest.Inline}, log: help, pods: 1, refuse: [2]string{"delete", "namespaces"},
			state: report.CheckFailed, saw: "the check left something behind: removing namespace NAMESPACE: refused by the test",
			remedy: "remove it by hand, and see why the cluster could not"},
		{name: "no manifest", state: report.CheckUnknown, saw: "there is no manifest, hence no image", remedy: "select specs that deploy something"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := &kubelet{status: test.status, log: test.log}
			client := k.client(both, class("pmem"), csiNode("worker", "driver.example"), csiNode("bare"))
			if test.refuse[0] != "" {
				refusing(client, test.refuse[0], test.refuse[1])
			}
			s := subject(t, client, test.manifests...)
			// Long enough for a probe, and for what holds a pod up to be believed.
			s.Waiter.Limits = map[wait.Name]time.Duration{wait.PodEnds: 5 * time.Minute, wait.NamespaceReady: time.Minute, wait.NamespaceGone: time.Minute}
			s.Waiter.Scale.ByName = map[wait.Name]float64{wait.NamespaceGone: 1}
			f := checkImages(t.Context(), s)
			f.saw = withoutNamespace(f.saw, client)
			compare(t, f, test.state, test.saw, test.remedy)
			if len(k.pods) != test.pods {
				t.Errorf("%d pods were made, want %d", len(k.pods), test.pods)
			}
			left, err := client.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
			if err != nil || len(left.Items) > 0 {
				t.Errorf("left behind: %v, %v", left.Items, err)
			}
			namespaces, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
			if err != nil || len(namespaces.Items) > 0 && test.refuse[0] != "delete" {
				t.Errorf("left behind: %v, %v", namespaces.Items, err)
			}
			if got := len(f.facts) > 0; got != (strings.HasPrefix(test.log, "memcached 1") && strings.Contains(test.log, "memory-file")) {
				t.Errorf("facts %+v", f.facts)
			}
		})
	}
}

// withoutNamespace replaces the random name.
func withoutNamespace(text string, client *fake.Clientset) string {
	for _, action := range client.Actions() {
		if create, ok := action.(ktesting.CreateAction); ok && action.GetResource().Resource == "namespaces" {
			text = strings.ReplaceAll(text, create.GetObject().(*corev1.Namespace).Name, "NAMESPACE")
		}
	}
	return text
}

func TestImagesTimeout(t *testing.T) {
	k := &kubelet{status: func(p *corev1.Pod) { waits(p, "ContainerCreating", "") }}
	s := subject(t, k.client(), deploytest.Inline)
	s.Waiter.Limits = map[wait.Name]time.Duration{wait.PodEnds: 20 * time.Second, wait.NamespaceReady: time.Minute, wait.NamespaceGone: time.Minute}
	f := checkImages(t.Context(), s)
	if f.state != report.CheckUnknown || f.remedy != givePatience || !strings.HasPrefix(f.saw, "waited 20ms for a pod of memcached:1 to end: last seen") {
		t.Errorf("%+v", f)
	}
}

func TestImageFacts(t *testing.T) {
	pod := probePod(deploytest.Load(t, "first", sidecar), nil)
	pod.Spec.NodeName = "worker"
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: deploy.Container, ImageID: "docker.io/library/memcached@sha256:12"}}
	// Begins of lines as memcached prints them.
	const help = "memcached 1.6.38\n-A, --enable-shutdown     enable ascii \"shutdown\" command\n-S, --enable-sasl\n-e, --memory-file=<file>  (EXPERIMENTAL)\n-o, --extended\n   - no_modern:\n"
	from := "memcached -h in a pod of memcached:1 on node worker"
	want := []report.Fact{
		{Group: "memcached", Name: "version", Value: "1.6.38", Evidence: from},
		{Group: "memcached", Name: "options", Value: "memory-file, enable-shutdown, enable-sasl", Evidence: from},
		{Group: "memcached", Name: "image", Value: "memcached:1", Evidence: "the manifests"},
		{Group: "memcached", Name: "image digest", Value: "docker.io/library/memcached@sha256:12", Evidence: "imageID of that pod"},
	}
	if f := memcachedOutput(pod, help); !slices.Equal(f.facts, want) {
		t.Errorf("got  %+v\nwant %+v", f.facts, want)
	}
	// TLS, SASL and the proxy are the builder's choice; the others are in every memcached of today.
	real := memcachedHelp(t)
	for _, o := range options {
		if slices.Contains([]string{"memory-file", "enable-shutdown", "auth-file", "extstore"}, o.name) && !o.help.MatchString(real) {
			t.Errorf("%s is not found in the help of memcached on this machine", o.name)
		}
	}
}

func TestProbePod(t *testing.T) {
	m := deploytest.Load(t, "first", sidecar)
	pod := probePod(m, []string{"a", "b"})
	if got := imagesOf(pod); got != "memcached:1, exporter:2" {
		t.Errorf("images %s, each once, memcached first", got)
	}
	if c := pod.Spec.Containers[0]; c.Name != deploy.Container || !slices.Equal(c.Command, probeCommand) {
		t.Errorf("%+v", c)
	}
	if len(pod.Spec.Tolerations) != 1 || pod.Spec.Tolerations[0].Key != "pmem" {
		t.Errorf("tolerations %+v", pod.Spec.Tolerations)
	}
	terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 2 || terms[1].MatchFields[0].Key != "metadata.name" || terms[1].MatchFields[0].Values[0] != "b" {
		t.Errorf("terms %+v", terms)
	}
	for _, c := range pod.Spec.Containers {
		s := c.SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Capabilities.Drop[0] != "ALL" || s.Privileged != nil {
			t.Errorf("%s: %+v", c.Name, s)
		}
	}
	if s := pod.Spec.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%+v", s)
	}
	// The template's own choice of nodes stands.
	own := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{}}}
	if got := affinity(own, []string{"a"}).NodeAffinity; got != own.NodeAffinity {
		t.Errorf("affinity %+v", got)
	}
}
