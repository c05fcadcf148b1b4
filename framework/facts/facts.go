// Package facts reports what the cluster under test is: versions, machines,
// driver, persistent memory. Each fact carries where it was read. What cannot
// be read is reported as unknown, with the reason; nothing here stops a run.
package facts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework/cluster"
	"pmem-memcached-e2e/framework/deploy"
	"pmem-memcached-e2e/framework/oneline"
	"pmem-memcached-e2e/framework/pmem"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

// unknown is the value of what could not be read.
const unknown = "unknown"

// Found is what is known about a cluster.
type Found struct {
	Facts    []report.Fact
	Features map[spec.Feature]spec.Support // those that could be decided
}

// Deployment is a manifest with what it is called in facts, whatever its directory is called, so that those
// of two runs can be compared.
type Deployment struct {
	Title string
	*deploy.Manifest
}

// Probe asks the cluster about itself and about what the deployments need, and
// reports what it is asking about to doing.
func Probe(ctx context.Context, c *cluster.Cluster, deployments []Deployment, doing func(what string)) Found {
	p := &prober{
		cluster: c, deployments: deployments, features: map[spec.Feature]spec.Support{}, doing: doing,
		platform: func(ctx context.Context, d *pmem.NodeDriver) (pmem.Platform, error) { return d.Platform(ctx) },
	}
	p.show("the version of Kubernetes")
	p.kubernetes(ctx)
	return p.rest(ctx)
}

type prober struct {
	facts
	cluster     *cluster.Cluster
	deployments []Deployment
	features    map[spec.Feature]spec.Support
	platform    func(context.Context, *pmem.NodeDriver) (pmem.Platform, error)
	doing       func(what string) // nil: nobody wants to know
}

func (p *prober) show(what string) {
	if p.doing != nil {
		p.doing(what)
	}
}

// rest is everything but the version of Kubernetes.
func (p *prober) rest(ctx context.Context) Found {
	p.show("nodes with the driver")
	nodes, found := p.nodes(ctx)
	p.show("storage classes and drivers")
	var manifests []*deploy.Manifest
	for _, d := range p.deployments {
		manifests = append(manifests, d.Manifest)
	}
	classes, err := deploy.StorageClasses(ctx, p.cluster.Client, manifests...)
	if err != nil {
		p.unread("cluster", "storage classes", err)
	}
	p.drivers(ctx, classes, found)
	p.dax(classes)
	for _, m := range p.deployments {
		p.deployment(m)
	}
	p.facts = append(p.facts, nodes...)
	return Found{Facts: p.facts, Features: p.features}
}

// facts are in the order in which people will read them.
type facts []report.Fact

func (f *facts) add(group, name, value, evidence string) {
	if value = oneline.Words(value); value == "" {
		value = "none"
	}
	*f = append(*f, report.Fact{Group: group, Name: name, Value: value, Evidence: oneline.Words(evidence)})
}

// unread is a fact that could not be read.
func (f *facts) unread(group, name string, err error) { f.add(group, name, unknown, err.Error()) }

func (p *prober) kubernetes(ctx context.Context) {
	version, err := p.cluster.ServerVersion(ctx)
	if err != nil {
		p.unread("cluster", "kubernetes", err)
		return
	}
	p.add("cluster", "kubernetes", version.GitVersion, "GET /version")
}

// drivers are those that the manifests need, and those of the nodes.
func (p *prober) drivers(ctx context.Context, classes []storagev1.StorageClass, found []nodeDriver) {
	var names []string
	for _, m := range p.deployments {
		v, err := m.Volume()
		if err != nil {
			continue // the specs say what is wrong with such a deployment
		}
		if class, ok := v.StorageClass(classes); ok {
			v.Driver = class.Provisioner
		}
		names = append(names, v.Driver)
	}
	for _, f := range found {
		names = append(names, f.driver.Name)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
	inline := map[string]bool{}
	for _, name := range names {
		group := "driver"
		if len(names) > 1 {
			group += " " + name
		}
		p.add(group, "name", name, "the manifests, their storage classes, and the driver's pods")
		if modes, ok := p.driver(ctx, group, name); ok {
			inline[name] = slices.Contains(modes, storagev1.VolumeLifecycleEphemeral)
		}
		p.driverPods(group, slices.DeleteFunc(slices.Clone(found), func(f nodeDriver) bool { return f.driver.Name != name }))
		for _, class := range classes {
			if class.Provisioner == name {
				p.add(group, "class "+class.Name, describeClass(class), "StorageClass "+class.Name)
			}
		}
	}
	p.inlineVolume(inline)
}

func (p *prober) driver(ctx context.Context, group, name string) (modes []storagev1.VolumeLifecycleMode, ok bool) {
	driver, err := p.cluster.Client.StorageV1().CSIDrivers().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		p.unread(group, "volume modes", err)
		return nil, false
	}
	modes = driver.Spec.VolumeLifecycleModes
	p.add(group, "volume modes", join(modes), "volumeLifecycleModes of CSIDriver "+name)
	tracked := driver.Spec.StorageCapacity != nil && *driver.Spec.StorageCapacity
	p.add(group, "storage capacity", fmt.Sprint(tracked), "storageCapacity of CSIDriver "+name)
	return modes, true
}

// inlineVolume decides by the drivers that the manifests name for inline
// volumes; without such a manifest by all that were found.
func (p *prober) inlineVolume(offered map[string]bool) {
	var wanted []string
	for _, m := range p.deployments {
		if v, err := m.Volume(); err == nil && v.Source == deploy.Inline {
			wanted = append(wanted, v.Driver)
		}
	}
	if len(wanted) == 0 {
		for name := range offered {
			wanted = append(wanted, name)
		}
	}
	slices.Sort(wanted)
	var with, without []string
	for _, name := range slices.Compact(wanted) {
		if has, known := offered[name]; !known {
			return
		} else if has {
			with = append(with, name)
		} else {
			without = append(without, name)
		}
	}
	switch {
	case len(without) > 0:
		p.features[spec.InlineVolume] = spec.Support{Presence: spec.Absent, Evidence: "Ephemeral is not among the volumeLifecycleModes of CSIDriver " + strings.Join(without, ", ")}
	case len(with) > 0:
		p.features[spec.InlineVolume] = spec.Support{Presence: spec.Supported, Evidence: "Ephemeral is among the volumeLifecycleModes of CSIDriver " + strings.Join(with, ", ")}
	}
}

// Parameter and value of PMEM-CSI's storage classes by which volumes are
// mounted without dax, docs/install.md of v1.1.0, volume parameters.
const (
	usageParameter = "usage"
	usageFileIO    = "FileIO"
)

// dax can only be ruled out: by a class that forgoes it, behind every volume.
func (p *prober) dax(classes []storagev1.StorageClass) {
	var evidence []string
	for _, m := range p.deployments {
		v, err := m.Volume()
		if err != nil {
			return
		}
		class, ok := v.StorageClass(classes)
		if !ok || class.Parameters[usageParameter] != usageFileIO {
			return
		}
		evidence = append(evidence, fmt.Sprintf("StorageClass %s has %s=%s", class.Name, usageParameter, usageFileIO))
	}
	if len(evidence) > 0 {
		slices.Sort(evidence)
		p.features[spec.DAX] = spec.Support{Presence: spec.Absent, Evidence: strings.Join(slices.Compact(evidence), ", ")}
	}
}

func describeClass(class storagev1.StorageClass) string {
	var words []string
	for key, value := range class.Parameters {
		words = append(words, strings.TrimPrefix(key, "csi.storage.k8s.io/")+"="+value)
	}
	slices.Sort(words)
	if class.ReclaimPolicy != nil {
		words = append(words, string(*class.ReclaimPolicy))
	}
	if class.VolumeBindingMode != nil {
		words = append(words, string(*class.VolumeBindingMode))
	}
	return strings.Join(words, ", ")
}

// driverPods reports what the pods of one driver say about it; they should say
// the same on every node.
func (p *prober) driverPods(group string, found []nodeDriver) {
	if len(found) == 0 {
		return
	}
	values := map[string][]string{}
	for _, f := range found {
		for name, value := range f.values() {
			values[name] = append(values[name], value)
		}
	}
	first := found[0].driver
	from := fmt.Sprintf("pod %s/%s, container %s", first.Namespace, first.Pod, first.Container)
	if len(found) > 1 {
		from += fmt.Sprintf(", and the pods of %d other nodes", len(found)-1)
	}
	for _, of := range []struct{ name, evidence string }{
		{"version", ": pmem-csi-driver -version"}, {"version by its image", ": tag of the image"},
		{"device mode", ": -deviceManager"}, {"image", ": image"}, {"image digest", ": imageID"},
	} {
		if all := values[of.name]; len(all) > 0 {
			slices.Sort(all)
			p.add(group, of.name, strings.Join(slices.Compact(all), "; "), from+of.evidence)
		}
	}
}

// values returns facts by their names. The image's tag stands in for a version
// that the program does not tell.
func (n nodeDriver) values() map[string]string {
	found := map[string]string{}
	for _, c := range n.pod.Spec.Containers {
		if c.Name != n.driver.Container {
			continue
		}
		found["image"] = c.Image
		if n.driver.Mode != "" {
			found["device mode"] = n.driver.Mode
		}
		if n.version != "" && n.version != unknown {
			found["version"] = n.version
		} else if tag := tagOf(c.Image); tag != "" {
			found["version by its image"] = tag
		}
	}
	for _, s := range n.pod.Status.ContainerStatuses {
		if s.Name == n.driver.Container && s.ImageID != "" {
			found["image digest"] = s.ImageID
		}
	}
	return found
}

func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return tag
}

func join[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// nodeDriver is the driver on a node with its pod.
type nodeDriver struct {
	driver  *pmem.NodeDriver
	pod     *corev1.Pod
	version string // by its program; empty if it could not be asked
}
