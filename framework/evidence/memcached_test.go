package evidence

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework/redact"
	"pmem-memcached-e2e/framework/wait"
)

func TestServerStatistics(t *testing.T) {
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Fatalf("%v; install memcached (Debian: apt-get install memcached)", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	listener.Close()
	args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var text string
	w := wait.Waiter{Interval: 10 * time.Millisecond, Limits: map[wait.Name]time.Duration{wait.PodRuns: 10 * time.Second}}
	err = w.Until(t.Context(), wait.PodRuns, "memcached at "+addr, func(ctx context.Context) (_ bool, _ string, err error) {
		text, err = serverStatistics(ctx, addr)
		return err == nil, "answers", err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"> stats\nSTAT pid ", "\nEND\n\n> stats settings\nSTAT maxbytes ", "\n> stats slabs\nSTAT ", "\n> stats items\nEND\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if got := new(redact.Redactor).Text(text); got != text {
		t.Errorf("redacted to\n%s", got)
	}
}

func TestServerThatDoesNotAnswerToTheEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 100))
		_, _ = conn.Write([]byte("STAT pid 1\r\n"))
		conn.Close()
	}()
	text, err := serverStatistics(t.Context(), listener.Addr().String())
	if err == nil || !strings.Contains(text, "STAT pid 1") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestRunsMemcached(t *testing.T) {
	for _, test := range []struct {
		name, image string
		want        bool
	}{
		{"memcached", "example.com/cache:1", true},
		{"cache", "docker.io/library/memcached:1.6.38", true},
		{"cache", "localhost:5000/memcached@sha256:0a", true},
		{"cache", "memcached", true},
		{"exporter", "prom/memcached-exporter:1", false},
		{"metrics", "", false},
	} {
		if got := runsMemcached(corev1.Container{Name: test.name, Image: test.image}); got != test.want {
			t.Errorf("container %s of image %q: %t", test.name, test.image, got)
		}
	}
	c := corev1.Container{Ports: []corev1.ContainerPort{{Protocol: corev1.ProtocolUDP, ContainerPort: 1}, {ContainerPort: 2}}}
	if got := portOf(c); got != 2 {
		t.Errorf("port %d", got)
	}
	if got := portOf(corev1.Container{}); got != 11211 {
		t.Errorf("default port %d", got)
	}
	pod := corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "a", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}, {Name: "b"}}}}
	if !running(pod, "a") || running(pod, "b") || running(pod, "c") {
		t.Error("which containers run")
	}
}
