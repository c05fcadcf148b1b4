//go:build vm

package vmtest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"pmem-memcached-e2e/framework/wait"
)

const port = 11211

// Each node has a server with a Service. From each node both servers are
// reached: by the address of the pod, by that of the Service, and by its name.
func (s *suite) testNetwork(t *testing.T) {
	nodes := s.lab.Status(during(t)).Nodes
	for _, n := range nodes {
		labels := map[string]string{"on": n.Name}
		s.run(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels}, Spec: corev1.PodSpec{
			NodeName: n.Name,
			Containers: []corev1.Container{{
				Command:        []string{"memcached", "-U", "0", "-p", fmt.Sprint(port)},
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)}}},
			}},
		}})
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Namespace: namespace}, Spec: corev1.ServiceSpec{
			Selector: labels, Ports: []corev1.ServicePort{{Port: port}},
		}}
		if err := s.cluster.Resources.Create(during(t), service); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		s.ready(t, n.Name, "")
	}
	for _, from := range nodes {
		for _, to := range nodes {
			pod := s.ready(t, to.Name, "")
			if pod.Spec.NodeName != to.Name {
				t.Fatalf("pod %s runs on %s", to.Name, pod.Spec.NodeName)
			}
			service, err := s.cluster.Client.CoreV1().Services(namespace).Get(during(t), to.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s.reach(t, from.Name, to.Name, pod.Status.PodIP, service.Spec.ClusterIP, to.Name, to.Name+"."+namespace+".svc.cluster.local")
		}
	}
}

// reach asks memcached on one node for its version from a pod on another, by
// several addresses and names. Rules for a new Service take a moment to be on
// every node.
func (s *suite) reach(t *testing.T, from, to string, hosts ...string) {
	t.Helper()
	ask := fmt.Sprintf(`for host in %s; do
	timeout 10 bash -c "exec 3<>/dev/tcp/$host/%d && printf 'version\r\n' >&3 && head -n 1 <&3" | grep -q '^VERSION ' && echo "$host answers"
done`, strings.Join(hosts, " "), port)
	if err := s.wait.Until(during(t), wait.EndpointReady, fmt.Sprintf("memcached on %s to answer a pod of %s", to, from), func(ctx context.Context) (bool, string, error) {
		result, err := s.cluster.Exec(ctx, namespace, from, "main", "bash", "-c", ask)
		return strings.Count(result.Stdout, "answers\n") == len(hosts), strings.TrimSpace(result.Stdout + result.Stderr), err
	}); err != nil {
		t.Error(err)
	}
}
