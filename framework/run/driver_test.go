package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/wait"
)

const (
	driverPod = "/api/v1/namespaces/pmem/pods/driver-worker"
	lvs       = `echo '{"report":[{"lv":[]}]}'`
	vgs       = `echo '{"report":[{"vg":[{"vg_name":"ndbus0region0fsdax","vg_size":"2147483648B","vg_free":"2147483648B"}]}]}'`
)

// withDriver is an API server whose cluster has a driver on its node, which holds no volume. Commands in the
// driver's container are processes of this machine, and lvs, vgs and ndctl are scripts with the given texts.
func withDriver(t *testing.T, scripts map[string]string) (kubeconfig string) {
	t.Helper()
	tools, state := t.TempDir(), t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	labels := map[string]string{"app.kubernetes.io/name": "pmem-csi-node"}
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pmem", Name: "driver-worker", UID: "driver-worker", Labels: labels},
		Spec: corev1.PodSpec{NodeName: "worker", Containers: []corev1.Container{{
			Name: "pmem-driver", Args: []string{"-drivername=driver.example", "-deviceManager=lvm", "-statePath=" + state},
			Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 10010}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	return apiServer(t, map[string]any{
		"/api/v1/pods": corev1.PodList{TypeMeta: list("v1", "Pod"), Items: []corev1.Pod{pod}},
		driverPod:      pod,
		"/apis/apps/v1/daemonsets": appsv1.DaemonSetList{TypeMeta: list("apps/v1", "DaemonSet"), Items: []appsv1.DaemonSet{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "pmem", Name: "driver", Labels: labels},
			Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod.Spec},
				UpdateStrategy: appsv1.DaemonSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: new(intstr.FromInt32(1))}}},
		}}},
		"/api/v1/namespaces/pmem/pods/http:driver-worker:10010/proxy/metrics": "# TYPE pmem_amount_available gauge\npmem_amount_available 2.147483648e+09\n" +
			"# TYPE pmem_amount_managed gauge\npmem_amount_managed 2.147483648e+09\n",
		"/apis/storage.k8s.io/v1/csistoragecapacities": storagev1.CSIStorageCapacityList{TypeMeta: list("storage.k8s.io/v1", "CSIStorageCapacity")},
		"/api/v1/persistentvolumes":                    corev1.PersistentVolumeList{TypeMeta: list("v1", "PersistentVolume")},
		driverPod + "/exec":                            tools,
	})
}

// Channels of the protocol v5.channel.k8s.io.
const (
	stdin byte = iota
	stdout
	stderr
	failure
	closing = 255
)

// runIn runs the command of a request to exec as a process of this machine that finds its programs in tools first.
func runIn(tools string, w http.ResponseWriter, r *http.Request) error {
	upgrader := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	var writing sync.Mutex
	send := func(channel byte, data []byte) error {
		writing.Lock()
		defer writing.Unlock()
		return conn.WriteMessage(websocket.BinaryMessage, append([]byte{channel}, data...))
	}
	command := r.URL.Query()["command"]
	cmd := exec.CommandContext(r.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"))
	cmd.Stdout = writerFunc(func(b []byte) (int, error) { return len(b), send(stdout, b) })
	cmd.Stderr = writerFunc(func(b []byte) (int, error) { return len(b), send(stderr, b) })
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer in.Close()
		for {
			_, message, err := conn.ReadMessage()
			if err != nil || len(message) == 2 && message[0] == closing && message[1] == stdin {
				return
			}
			if message[0] == stdin {
				_, _ = in.Write(message[1:])
			}
		}
	}()
	status := metav1.Status{Status: metav1.StatusSuccess}
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		status = metav1.Status{Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Message: err.Error(),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: fmt.Sprint(exit.ExitCode())}}}}
	} else if err != nil {
		return err
	}
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	return errors.Join(send(failure, text), conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestSelectionPassed has all that a run compares: the selected specs pass, and what is on the node is the same before and after.
func TestSelectionPassed(t *testing.T) {
	notShort(t)
	t.Parallel()
	held := filepath.Join(t.TempDir(), "held")
	later := `test ! -e ` + held + ` || { echo '{"report":[{"lv":[{"lv_name":"pvc-1","vg_name":"ndbus0region0fsdax","lv_size":"1048576B","lv_path":"/dev/ndbus0region0fsdax/pvc-1"}]}]}'; exit; }` + "\ntouch " + held + "\n" + lvs
	tests := []struct {
		name   string
		lvs    string
		focus  string
		code   int
		result report.Result
		want   map[string]spec.Outcome
	}{
		{"every spec passes", lvs, "AAA-0[19]", report.ExitConformant, report.SelectionPassed, map[string]spec.Outcome{"AAA-01": spec.Passed, "AAA-09": spec.Passed}},
		{"one spec fails", lvs, "AAA-0[12]", report.ExitNotConformant, report.NotConformant, map[string]spec.Outcome{"AAA-01": spec.Passed, "AAA-02": spec.Failed}},
		{"a volume is on the node afterwards", later, "AAA-01", report.ExitLeaked, report.LeakedOnly, nil},
		{"the node's volumes cannot be listed", "exit 5", "AAA-01", report.ExitUndetermined, report.Undetermined, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			kubeconfig := withDriver(t, map[string]string{"lvs": tt.lvs, "vgs": vgs, "ndctl": "echo '[]'"})
			o := execute(t, func(c *config.Config, p *recorder) {
				c.Select.Focus, p.kubeconfig = tt.focus, kubeconfig
				if tt.result == report.LeakedOnly {
					c.WaitScale.ByName = map[wait.Name]float64{wait.NoLeaks: 0.03}
				}
			}, nil)
			doc := o.document(t)
			if o.code != tt.code || doc.Verdict.ExitCode != tt.code || doc.Verdict.Result != tt.result {
				t.Errorf("exit code %d, the report has %d and %s, want %d and %s", o.code, doc.Verdict.ExitCode, doc.Verdict.Result, tt.code, tt.result)
			}
			got := outcomesOf(doc)
			for id, want := range tt.want {
				if got[id] != want {
					t.Errorf("%s: %q, want %q", id, got[id], want)
				}
			}
			if t.Failed() {
				t.Logf("uncompared %q, leaks %v\nstdout:\n%s\nstderr:\n%s", doc.Uncompared, doc.Leaks, o.stdout, o.stderr)
			}
		})
	}
}

// TestSharedCluster has other runs at work next to this one, whose volumes are no leaks, and failures that are foreseen.
func TestSharedCluster(t *testing.T) {
	notShort(t)
	t.Parallel()
	held := filepath.Join(t.TempDir(), "held")
	later := `test ! -e ` + held + ` || { echo '{"report":[{"lv":[{"lv_name":"pvc-1","vg_name":"ndbus0region0fsdax","lv_size":"1048576B","lv_path":"/dev/ndbus0region0fsdax/pvc-1"}]}]}'; exit; }` + "\ntouch " + held + "\n" + lvs
	kubeconfig := withDriver(t, map[string]string{"lvs": later, "vgs": vgs, "ndctl": "echo '[]'"})
	for _, tt := range []struct {
		foreseen []spec.ReqID
		evidence bool
	}{{[]spec.ReqID{"EPH-01"}, false}, {[]spec.ReqID{"EPH-02"}, true}} {
		o := execute(t, func(c *config.Config, p *recorder) {
			c.Select.Focus, p.kubeconfig, c.Shared, c.Foreseen = "AAA-0[12]", kubeconfig, true, tt.foreseen
		}, nil)
		doc := o.document(t)
		if got := outcomesOf(doc); got["AAA-01"] != spec.Passed || got["AAA-02"] != spec.Failed || len(doc.Leaks) != 0 {
			t.Errorf("outcomes %v, leaks %v, want AAA-01 to pass, AAA-02 to fail and no leak", got, doc.Leaks)
		}
		for _, s := range doc.Specs {
			if s.ID == "AAA-02" && (s.Evidence != "") != tt.evidence {
				t.Errorf("where %v is foreseen, the evidence is %q", tt.foreseen, s.Evidence)
			}
		}
	}
}
