package evidence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/redact"
)

func newCollector(t *testing.T, dir string, objects ...runtime.Object) *collector {
	t.Helper()
	kinds := map[schema.GroupVersionResource]string{}
	for _, list := range [][]schema.GroupVersionResource{namespaced, ofDriver, clusterScoped} {
		for _, resource := range list {
			kinds[resource] = "List"
		}
	}
	// Describers have no fake: nothing listens here, so they fail at once.
	c := &cluster.Cluster{Client: fake.NewClientset(objects...), Config: &rest.Config{Host: "http://127.0.0.1:1"}}
	return &collector{cluster: c, dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme.Scheme, kinds, objects...), secrets: &redact.Redactor{}, dir: dir, limit: folderBytes}
}

func read(t *testing.T, dir, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestCollect(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report", "evidence")
	c := newCollector(t, dir,
		&corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"},
			Status: corev1.PodStatus{
				InitContainerStatuses: []corev1.ContainerStatus{{Name: "init", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "memcached",
					LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}},
			},
		},
		&corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s", Annotations: map[string]string{lastApplied: "hunter2"}},
			Data:       map[string][]byte{"password": []byte("hunter2")}, StringData: map[string]string{"other": "hunter2"},
		},
		&corev1.Event{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "e"}, Type: "Warning", Reason: "FailedMount", Message: "no\nspace",
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p"}, LastTimestamp: metav1.Unix(0, 0),
		},
		&corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: "node-1"}},
	)
	c.dynamic.(*dynamicfake.FakeDynamicClient).PrependReactor("list", "jobs", func(ktesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("jobs are\nforbidden")
	})
	if err := c.collect(t.Context(), []string{"n"}); err != nil {
		t.Fatal(err)
	}

	if text := read(t, dir, "n/events.txt"); !strings.Contains(text, "Warning FailedMount Pod/p (, 1 times): no space\n") {
		t.Errorf("events: %q", text)
	}
	for _, path := range []string{"n/logs/p_memcached.log", "n/logs/p_memcached.previous.log"} {
		if text := read(t, dir, path); text != "fake logs" {
			t.Errorf("%s: %q", path, text)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "n/logs/p_init.log")); err == nil {
		t.Error("a log of a container that has not started")
	}
	secrets := read(t, dir, "n/objects/secrets.yaml")
	if !strings.Contains(secrets, "password: REDACTED") || strings.Contains(secrets, "hunter2") || strings.Contains(secrets, "aHVudGVyMg") {
		t.Errorf("secrets: %s", secrets)
	}
	if text := read(t, dir, "cluster/objects/nodes.yaml"); !strings.Contains(text, "name: node-1") {
		t.Errorf("nodes: %s", text)
	}

	index := read(t, dir, "index.txt")
	for _, want := range []string{
		"  n/objects/pods.yaml\n",
		"n/objects/jobs.yaml: jobs are forbidden\n",
		"n/describe/pod_p.txt: ",
		"logs of PMEM-CSI: no pod is labelled app.kubernetes.io/part-of=pmem-csi\n",
		"nodes: no pod is labelled app.kubernetes.io/name=pmem-csi-node; install PMEM-CSI\n",
	} {
		if !strings.Contains(index, want) {
			t.Errorf("the index lacks %q:\n%s", want, index)
		}
	}
}

func TestChoose(t *testing.T) {
	var drivers []*pmem.NodeDriver
	var all []string
	for i := range 20 {
		name := fmt.Sprintf("node%d", i)
		drivers, all = append(drivers, &pmem.NodeDriver{Node: name}), append(all, name)
	}
	for _, test := range []struct{ name, inUse, want string }{
		{"no pod has a node", "", "node0 node1 node2 node3 node4 node5 node6 node7"},
		{"two nodes in use", "node3 node19", "node0 node1 node2 node3 node4 node5 node6 node19"},
		{"a node without the driver", "node5 elsewhere", "node0 node1 node2 node3 node4 node5 node6"},
		{"all in use", strings.Join(all, " "), strings.Join(all, " ")},
	} {
		var got []string
		for _, d := range choose(drivers, strings.Fields(test.inUse)) {
			got = append(got, d.Node)
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%s: %s, want %s", test.name, text, test.want)
		}
	}
	if len(drivers) != 20 || drivers[19] == nil {
		t.Error("the drivers themselves were changed")
	}
}

func TestCollectNothing(t *testing.T) {
	dir := t.TempDir()
	c := newCollector(t, dir)
	refuse := func(ktesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("connection refused")
	}
	c.cluster.Client.(*fake.Clientset).PrependReactor("*", "*", refuse)
	c.dynamic.(*dynamicfake.FakeDynamicClient).PrependReactor("*", "*", refuse)
	err := c.collect(t.Context(), []string{"n"})
	if err == nil || !strings.Contains(err.Error(), "nothing could be collected, see "+filepath.Join(dir, "index.txt")) {
		t.Errorf("error %v", err)
	}
	if index := read(t, dir, "index.txt"); !strings.Contains(index, "n/events.txt: connection refused") {
		t.Errorf("index: %s", index)
	}
}

func TestCollectIntoAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newCollector(t, file).collect(t.Context(), nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want one that names %s", err, file)
	}
}

func TestFolderIsBounded(t *testing.T) {
	c := &collector{secrets: &redact.Redactor{}, dir: t.TempDir(), limit: 100}
	for _, size := range []int{60, 50, 40, 1} {
		c.write(fmt.Sprintf("n/%d", size), strings.Repeat("x", size))
	}
	if err := c.index(time.Now(), []string{"n"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "n", "50")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file that does not fit: %v", err)
	}
	index := read(t, c.dir, "index.txt")
	for _, want := range []string{
		"All files hold at most 100 bytes; 2 did not fit.\n",
		"Collected, 2 files of 100 bytes:\n  n/40\n  n/60\n",
		"n/50: left out: its 50 bytes do not fit into the 100 that all files may have, of which 60 are taken\n",
		"n/1: left out: its 1 bytes do not fit into the 100 that all files may have, of which 100 are taken\n",
	} {
		if !strings.Contains(index, want) {
			t.Errorf("the index lacks %q:\n%s", want, index)
		}
	}
}

func TestEveryFileIsRedacted(t *testing.T) {
	c := &collector{secrets: &redact.Redactor{}, dir: t.TempDir(), limit: folderBytes}
	c.step(t.Context(), "a.log", func(context.Context) (string, error) {
		return "Authorization: Bearer hunter2hunter2\n", errors.New("GET /?token=hunter2: refused")
	})
	if err := c.index(time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	if text := read(t, c.dir, "a.log"); text != "Authorization: REDACTED\n" {
		t.Errorf("file %q", text)
	}
	if index := read(t, c.dir, "index.txt"); !strings.Contains(index, "a.log: GET /?token=REDACTED") || strings.Contains(index, "hunter2") {
		t.Errorf("index: %s", index)
	}
}

func TestTail(t *testing.T) {
	lines := strings.Repeat("0123456789\n", 100)
	for _, test := range []struct {
		name, text string
		limit      int
		want       string // suffix
	}{
		{"short", "a\nb\n", 100, "a\nb\n"},
		{"starts with a line", lines, 70, "\n0123456789\n0123456789\n"},
		{"one long line", strings.Repeat("x", 1000), 100, "xxx"},
	} {
		got := string(tail(test.text, test.limit))
		if len(got) > test.limit || !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: %d bytes %q", test.name, len(got), got)
		}
	}
	if got, want := string(tail(lines, 70)), "[the first 1067 bytes are left out]\n0123456789\n0123456789\n0123456789\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
