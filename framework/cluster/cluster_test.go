package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"pmem-memcached-e2e/framework/wait"
)

func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "%s"}}]
users: [{name: u, user: {}}]
contexts: [{name: lab, context: {cluster: c, user: u}}, {name: broken, context: {cluster: none, user: u}}]
current-context: lab
`, server)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve answers on /version and with more, by pattern; everything else is not found.
func serve(t *testing.T, version string, more map[string]http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, version) })
	for pattern, handler := range more {
		mux.HandleFunc(pattern, handler)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestConnect(t *testing.T) {
	path := kubeconfig(t, serve(t, `{"major":"1","minor":"36","gitVersion":"v1.36.3"}`, nil))
	c, err := Connect(t.Context(), path, "lab", wait.Waiter{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Kubeconfig != path || c.Resources == nil || c.Config.QPS < 50 || c.Config.Burst < 50 {
		t.Errorf("%+v", c)
	}
	if v, err := c.ServerVersion(t.Context()); err != nil || v.GitVersion != "v1.36.3" {
		t.Errorf("version %+v, %v", v, err)
	}

	// A server without the subresources is as good as one that refuses them.
	if _, err := c.Exec(t.Context(), "n", "p", "c", "cat", "/x"); err == nil || !strings.HasPrefix(err.Error(), `running "cat /x" in container c of pod n/p: `) {
		t.Errorf("Exec: %v", err)
	}
	if _, err := c.ForwardPod(t.Context(), "n", "p", 11211); err == nil || !strings.HasPrefix(err.Error(), "forwarding to port 11211 of pod n/p: error upgrading connection: ") {
		t.Errorf("ForwardPod: %v", err)
	}
	if _, err := c.Logs(t.Context(), "n", "p", "c", false); err == nil || !strings.HasPrefix(err.Error(), "log of container c of pod n/p: ") {
		t.Errorf("Logs: %v", err)
	}
}

func TestVersionThatIsRefused(t *testing.T) {
	url := serve(t, `{"gitVersion":"v1.36.3"}`, map[string]http.HandlerFunc{"/refused/version": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","message":"no roles yet","code":403}`)
	}})
	_, err := Connect(t.Context(), kubeconfig(t, url+"/refused"), "lab", wait.Waiter{})
	if err == nil || !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "HTTP status 403") || !strings.Contains(err.Error(), "no roles yet") {
		t.Errorf("err = %v", err)
	}
}

func TestForwardThatIsNotOpened(t *testing.T) {
	ended := make(chan struct{})
	url := serve(t, `{"gitVersion":"v1.36.3"}`, map[string]http.HandlerFunc{
		"/api/v1/namespaces/n/pods/p/portforward": func(http.ResponseWriter, *http.Request) { <-ended },
	})
	t.Cleanup(func() { close(ended) }) // before the server waits for its handlers
	waiter := wait.Waiter{Limits: map[wait.Name]time.Duration{wait.Forwarded: 10 * time.Millisecond}, Scale: wait.Scale{All: 2}}
	c, err := Connect(t.Context(), kubeconfig(t, url), "lab", waiter)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ForwardPod(t.Context(), "n", "p", 11211)
	if want := "forwarding to port 11211 of pod n/p: no connection to the pod within 20ms (limit forwarded)"; err == nil || err.Error() != want {
		t.Errorf("err = %v, want %s", err, want)
	}
}

// As with kubectl, the files are merged, the first ones win, and those that do
// not exist are skipped.
func TestConnectWithSeveralFiles(t *testing.T) {
	one := kubeconfig(t, serve(t, `{"gitVersion":"v1.1.0"}`, nil))
	two := filepath.Join(t.TempDir(), "two")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "d", "cluster": {"server": %q}}],
"contexts": [{"name": "other", "context": {"cluster": "d", "user": "u"}}], "current-context": "other"}`, serve(t, `{"gitVersion":"v1.2.0"}`, nil))
	if err := os.WriteFile(two, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct{ kubeconfig, context, want string }{
		{one + ":" + two, "", "v1.1.0"},
		{two + ":" + one, "", "v1.2.0"},
		{one + ":" + two, "other", "v1.2.0"},
		{missing + ":" + two + ":" + one, "lab", "v1.1.0"},
	} {
		c, err := Connect(t.Context(), test.kubeconfig, test.context, wait.Waiter{})
		if err != nil {
			t.Errorf("%s, context %q: %v", test.kubeconfig, test.context, err)
			continue
		}
		if v, err := c.ServerVersion(t.Context()); err != nil || v.GitVersion != test.want || c.Kubeconfig != test.kubeconfig {
			t.Errorf("%s, context %q: version %v of %s, %v; want %s", test.kubeconfig, test.context, v, c.Kubeconfig, err, test.want)
		}
	}
}

func TestConnectErrors(t *testing.T) {
	closed := "http://127.0.0.1:1"
	missing := filepath.Join(t.TempDir(), "missing")
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("{{"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name, kubeconfig, context string
		ctx                       context.Context
		want                      []string
	}{
		{"missing file", missing, "", t.Context(), []string{missing, "no such file", "name a file that exists"}},
		{"missing files", missing + ":" + missing + "2", "", t.Context(), []string{"none of these files exists"}},
		{"garbage", garbage, "", t.Context(), []string{garbage}},
		{"unknown context", kubeconfig(t, closed), "prod", t.Context(), []string{`no context "prod"; it has ["broken" "lab"]`}},
		{"context without cluster", kubeconfig(t, closed), "broken", t.Context(), []string{`cluster "none" was not found for context "broken"`}},
		{"ended", kubeconfig(t, closed), "", ended, []string{"context canceled"}},
		{"another server", kubeconfig(t, serve(t, "<html>", nil)), "", t.Context(), []string{`it answered "<html>", which is not an API server's answer`}},
		{"another JSON", kubeconfig(t, serve(t, "{}", nil)), "", t.Context(), []string{`it answered "{}", which is not an API server's answer`}},
	} {
		_, err := Connect(test.ctx, test.kubeconfig, test.context, wait.Waiter{})
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range append(test.want, "kubeconfig "+test.kubeconfig) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", test.name, err, want)
			}
		}
	}
}

func TestConnectWithoutKubeconfig(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("KUBECONFIG", missing)
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := Connect(t.Context(), "", "", wait.Waiter{})
	if err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "set KUBECONFIG to the kubeconfig of the cluster under test") {
		t.Errorf("error %v", err)
	}
}

func TestForwardServiceErrors(t *testing.T) {
	service := func(change func(*corev1.Service)) *corev1.Service {
		s := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s"},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "c"}, Ports: []corev1.ServicePort{
				{Name: "db", Port: 11211}, {Name: "metrics", Port: 9150}, {Name: "udp", Port: 53, Protocol: corev1.ProtocolUDP}}},
		}
		if change != nil {
			change(s)
		}
		return s
	}
	pod := func(phase corev1.PodPhase, ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", Labels: map[string]string{"app": "c"}},
			Status:     corev1.PodStatus{Phase: phase, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	deleted := pod(corev1.PodRunning, corev1.ConditionTrue)
	deleted.DeletionTimestamp = &metav1.Time{}
	named := service(func(s *corev1.Service) {
		s.Spec.Ports[0].TargetPort.Type = 1
		s.Spec.Ports[0].TargetPort.StrVal = "nosuch"
	})
	for _, test := range []struct {
		name    string
		objects []runtime.Object
		port    int
		want    string
	}{
		{"no service", nil, 11211, `services "s" not found`},
		{"no such port", []runtime.Object{service(nil)}, 11212, `the service has no such port; it has ["11211 db" "9150 metrics" "53 udp"]`},
		{"UDP", []runtime.Object{service(nil)}, 53, "the port's protocol is UDP; only TCP can be forwarded"},
		{"no selector", []runtime.Object{service(func(s *corev1.Service) { s.Spec.Selector = nil })}, 11211, "the service has no selector, hence no pods to forward to"},
		{"no pods", []runtime.Object{service(nil)}, 11211, "no pod has the labels app=c of its selector"},
		{"not ready", []runtime.Object{service(nil), pod(corev1.PodPending, corev1.ConditionFalse)}, 11211, "no pod selected by app=c is Ready: p (Pending)"},
		{"being deleted", []runtime.Object{service(nil), deleted}, 11211, "no pod selected by app=c is Ready: p (being deleted)"},
		{"unknown name of a target port", []runtime.Object{named, pod(corev1.PodRunning, corev1.ConditionTrue)}, 11211, "nosuch"},
	} {
		c := &Cluster{Client: fake.NewClientset(test.objects...)}
		_, err := c.ForwardService(t.Context(), "n", "s", test.port)
		prefix := fmt.Sprintf("forwarding to port %d of service n/s: ", test.port)
		if err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s%s", test.name, err, prefix, test.want)
		}
	}
}

func TestFailures(t *testing.T) {
	var f failures
	if f.join() != nil {
		t.Error("an error without a failure")
	}
	f.Error(io.EOF, "an error occurred forwarding", "remotePort", 1)
	f.Error(nil, "no stream")
	fmt.Fprintln(&f, "Unable to listen")
	if got, want := fmt.Sprint(f.join()), "an error occurred forwarding: EOF\nno stream\nUnable to listen"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
