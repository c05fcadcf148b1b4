package deploy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const defaultPort = 11211 // memcached's registered port

// portNames are usual names of memcached's port, PMEM-CSI's example first.
var portNames = []string{servicePortName, "memcache", "memcached"}

// portAnnotation of a pod is memcached's port, where the container does not show it.
const portAnnotation = "pmem-memcached-e2e/port"

// Port is where memcached listens in its pod by TCP.
func Port(pod *corev1.Pod) int {
	if n, err := strconv.ParseUint(pod.Annotations[portAnnotation], 10, 16); err == nil && n > 0 {
		return int(n)
	}
	c := MemcachedContainer(pod.Spec)
	return listensOn(c, literals(c))
}

// literals looks up the variables that a container has as literal values.
func literals(c corev1.Container) func(string) (string, bool) {
	return func(name string) (string, bool) {
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name && e.ValueFrom == nil })
		if i < 0 {
			return "", false
		}
		return c.Env[i].Value, true
	}
}

// listensOn is the port that memcached is given by its arguments, or else the one that its container
// declares under a usual name or a usual number, or else the first that it declares.
func listensOn(c corev1.Container, value func(name string) (string, bool)) int {
	extra, _ := value(ArgsVariable)
	var words []string
	for _, word := range append(slices.Concat(c.Command, c.Args), extra) {
		words = append(words, strings.Fields(Expand(word, value))...) // a word may be a whole script
	}
	if port := portOf(words); port > 0 {
		return port
	}
	ports := slices.DeleteFunc(slices.Clone(c.Ports), func(p corev1.ContainerPort) bool { return p.Protocol != "" && p.Protocol != corev1.ProtocolTCP })
	for _, prefer := range []func(corev1.ContainerPort) bool{
		func(p corev1.ContainerPort) bool { return slices.Contains(portNames, p.Name) },
		func(p corev1.ContainerPort) bool { return p.ContainerPort == defaultPort },
		func(corev1.ContainerPort) bool { return true },
	} {
		if i := slices.IndexFunc(ports, prefer); i >= 0 {
			return int(ports[i].ContainerPort)
		}
	}
	return defaultPort
}

// portOf is the port in arguments of memcached; 0 without one. The last one counts.
func portOf(words []string) int {
	port := 0
	for i, word := range words {
		word = strings.Trim(word, `"'`)
		text, ok := strings.CutPrefix(word, "--port=")
		switch {
		case ok:
		case (word == "-p" || word == "--port") && i+1 < len(words):
			text = words[i+1]
		case strings.HasPrefix(word, "-p") && !strings.HasPrefix(word, "--"):
			text = word[len("-p"):]
		default:
			continue
		}
		if n, err := strconv.ParseUint(strings.Trim(text, `"'`), 10, 16); err == nil && n > 0 {
			port = int(n)
		}
	}
	return port
}

// markPort has the pods say where memcached listens when that follows from a variable that a pod does
// not show.
func (m *Manifest) markPort() error {
	c := MemcachedContainer(m.template.Spec)
	port := listensOn(c, m.value)
	if port == listensOn(c, literals(c)) {
		return nil
	}
	workload := m.workload()
	if err := setNested(workload.Object, fmt.Sprint(port), "spec", "template", "metadata", "annotations", portAnnotation); err != nil {
		return fmt.Errorf("annotating the pods with memcached's port: %w", err)
	}
	return m.setWorkload(workload)
}
