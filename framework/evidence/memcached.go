package evidence

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/memcached"
)

const (
	program       = "memcached"
	memcachedPort = 11211 // the server's default
)

// statistics are the groups that a server is asked for, doc/protocol.txt.
var statistics = []string{"stats", "stats settings", "stats slabs", "stats items"}

// memcached collects the statistics of every server that runs in the namespace.
func (c *collector) memcached(ctx context.Context, ns string) {
	limited, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	pods, err := c.cluster.Client.CoreV1().Pods(ns).List(limited, metav1.ListOptions{})
	if err != nil {
		c.miss(ns+"/memcached", err)
		return
	}
	for _, pod := range pods.Items {
		for _, container := range pod.Spec.Containers {
			if !runsMemcached(container) || !running(pod, container.Name) {
				continue
			}
			c.step(ctx, fmt.Sprintf("%s/memcached/%s_%s.txt", ns, pod.Name, container.Name), func(ctx context.Context) (text string, err error) {
				f, err := c.cluster.ForwardPod(ctx, ns, pod.Name, portOf(container))
				if err != nil {
					return "", err
				}
				text, err = serverStatistics(ctx, f.Addr)
				// What the forward met explains why the server did not answer.
				if cause := f.Close(); err != nil {
					err = errors.Join(err, cause)
				}
				return text, err
			})
		}
	}
}

// runsMemcached decides by the name of the container or of its image.
func runsMemcached(c corev1.Container) bool {
	image, _, _ := strings.Cut(path.Base(c.Image), "@")
	image, _, _ = strings.Cut(image, ":")
	return c.Name == program || image == program
}

func running(pod corev1.Pod, container string) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == container {
			return status.State.Running != nil
		}
	}
	return false
}

func portOf(c corev1.Container) int {
	for _, port := range c.Ports {
		if port.Protocol == corev1.ProtocolTCP || port.Protocol == "" {
			return int(port.ContainerPort)
		}
	}
	return memcachedPort
}

// serverStatistics returns what the server answers, also when it does not answer to the end.
func serverStatistics(ctx context.Context, addr string) (string, error) {
	session, err := memcached.Open(ctx, addr)
	if err != nil {
		return "", err
	}
	defer session.Close()
	var b strings.Builder
	for _, command := range statistics {
		lines, err := session.Do(ctx, command, memcached.Line("END", "RESET"))
		fmt.Fprintf(&b, "> %s\n%s\n\n", command, strings.Join(lines, "\n"))
		if err != nil {
			return b.String(), err
		}
	}
	return b.String(), nil
}
