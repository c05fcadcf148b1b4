package cache

import (
	"context"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"pmem-memcached-e2e/framework"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/probe"
)

// Sockets are those on which memcached's container takes connections or datagrams, and no sidecar, in order.
func Sockets(ctx context.Context, e *framework.Env, p *corev1.Pod) []string {
	own, others, err := probe.Sockets(ctx, e.Cluster, p.Namespace, p.Name, deploy.Container)
	e.NoError(err, "list the sockets of %s", framework.Name("pod", p))
	if len(own) == 0 { // the kernel does not show whose they are
		own = undeclared(others, p)
	}
	open := []string{}
	for _, s := range own {
		open = append(open, s.String())
	}
	slices.Sort(open)
	return open
}

// undeclared are the sockets of a pod except for the ports that its other containers declare.
func undeclared(sockets []probe.Socket, p *corev1.Pod) []probe.Socket {
	var left []probe.Socket
	for _, s := range sockets {
		declared := false
		for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
			declared = declared || c.Name != deploy.Container && slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool {
				return int(port.ContainerPort) == s.Port && strings.EqualFold(string(port.Protocol), s.Protocol)
			})
		}
		if !declared {
			left = append(left, s)
		}
	}
	return left
}

// notFound is how shells report a program that is missing.
var notFound = regexp.MustCompile(`(?i)(^|[: ])(command )?not found( in .*)?$`)

// MissingPrograms are the lines of a log in which a shell reports a program that is missing.
func MissingPrograms(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		if line = strings.TrimSpace(line); notFound.MatchString(line) && strings.Contains(line, ":") {
			lines = append(lines, line)
		}
	}
	return lines
}
