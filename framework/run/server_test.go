package run

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

// server answers as an API server does what is asked around a spec that
// deploys nothing: it keeps namespaces, and has a driver on one node.
type server struct {
	mu         sync.Mutex
	namespaces map[string]*corev1.Namespace
	fixed      map[string]any // answers to GET by path
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if tools, ok := s.fixed[driverPod+"/exec"]; ok && r.URL.Path == driverPod+"/exec" {
		if err := runIn(tools.(string), w, r); err != nil && r.Context().Err() == nil {
			panic(err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const namespaces = "/api/v1/namespaces"
	name := strings.Trim(strings.TrimPrefix(r.URL.Path, namespaces), "/")
	answer, fixed := s.fixed[r.URL.Path]
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		var review authorizationv1.SelfSubjectAccessReview
		accept(r, &review)
		review.Status.Allowed = true
		reply(w, http.StatusCreated, review)
	case r.Method == http.MethodPost && r.URL.Path == namespaces:
		var ns corev1.Namespace
		accept(r, &ns)
		if strings.HasPrefix(ns.Name, "e2e-aaa-14") {
			refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
			return
		}
		ns.UID = types.UID(ns.Name)
		if r.URL.Query().Get("dryRun") == "" {
			s.namespaces[ns.Name] = &ns
		}
		reply(w, http.StatusCreated, ns)
	case r.Method == http.MethodGet && name == "" && strings.HasPrefix(r.URL.Path, namespaces):
		all := corev1.NamespaceList{TypeMeta: list("v1", "Namespace")}
		for _, ns := range s.namespaces {
			all.Items = append(all.Items, *ns)
		}
		reply(w, http.StatusOK, all)
	case strings.HasSuffix(name, "/serviceaccounts/default"):
		reply(w, http.StatusOK, corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	case fixed && strings.HasSuffix(r.URL.Path, "/metrics"):
		_, _ = io.WriteString(w, answer.(string))
	case strings.HasPrefix(r.URL.Path, namespaces) && s.namespaces[name] != nil:
		if r.Method == http.MethodDelete {
			if strings.HasPrefix(name, "stays-") {
				refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
				return
			}
			defer delete(s.namespaces, name)
		}
		reply(w, http.StatusOK, s.namespaces[name])
	case fixed && r.Method == http.MethodGet:
		reply(w, http.StatusOK, answer)
	default:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

// accept decodes what a client has sent, as JSON or as protocol buffer.
func accept(r *http.Request, into runtime.Object) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(data, nil, into); err != nil {
		panic(err)
	}
}

func reply(w http.ResponseWriter, code int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	reply(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: "refused by the test: " + string(reason),
	})
}

func list(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind + "List"}
}

// apiServer starts a server, with more answers to GET by path, and returns a kubeconfig for it.
func apiServer(t *testing.T, more ...map[string]any) (kubeconfig string) {
	t.Helper()
	fixed := map[string]any{
		"/version": map[string]string{"gitVersion": "v1.37.2", "major": "1", "minor": "37"},
		"/apis/storage.k8s.io/v1/csidrivers/driver.example": &storagev1.CSIDriver{
			ObjectMeta: metav1.ObjectMeta{Name: "driver.example"},
			Spec: storagev1.CSIDriverSpec{VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{
				storagev1.VolumeLifecycleEphemeral, storagev1.VolumeLifecyclePersistent}},
		},
		"/apis/storage.k8s.io/v1/csinodes": storagev1.CSINodeList{TypeMeta: list("storage.k8s.io/v1", "CSINode"), Items: []storagev1.CSINode{{
			ObjectMeta: metav1.ObjectMeta{Name: "worker"},
			Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: "driver.example"}}},
		}}},
		"/apis/storage.k8s.io/v1/storageclasses": storagev1.StorageClassList{TypeMeta: list("storage.k8s.io/v1", "StorageClass"), Items: []storagev1.StorageClass{{
			ObjectMeta: metav1.ObjectMeta{Name: "pmem"}, Provisioner: "driver.example",
		}}},
		"/api/v1/nodes": corev1.NodeList{TypeMeta: list("v1", "Node"), Items: []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "worker"}}}},
		"/api/v1/pods":  corev1.PodList{TypeMeta: list("v1", "Pod")},
	}
	for _, answers := range more {
		maps.Copy(fixed, answers)
	}
	s := httptest.NewServer(&server{namespaces: map[string]*corev1.Namespace{}, fixed: fixed})
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	write(t, path, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: "`+s.URL+`"}}]
users: [{name: test, user: {}}]
`)
	return path
}
