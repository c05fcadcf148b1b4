package deploy

import (
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// shells are the usual names of POSIX shells.
var shells = []string{"sh", "ash", "bash", "dash"}

// StartsShell reports whether a container of the deployment with memcached's image is started by a shell, so that the image has one.
func (m *Manifest) StartsShell() bool {
	return slices.ContainsFunc(slices.Concat(m.template.Spec.InitContainers, m.template.Spec.Containers), func(c corev1.Container) bool {
		return c.Image == m.Image() && len(c.Command) > 0 && slices.Contains(shells, path.Base(c.Command[0]))
	})
}

// Images are those of the deployment's containers, memcached's first, each once.
func (m *Manifest) Images() []string {
	images := []string{m.Image()}
	for _, c := range slices.Concat(m.template.Spec.InitContainers, m.template.Spec.Containers) {
		if !slices.Contains(images, c.Image) {
			images = append(images, c.Image)
		}
	}
	return images
}

// helperCommand ends well where an image has what the suite's own pods need.
var helperCommand = []string{"sh", "-c", "for p in cat chmod head sleep; do command -v $p || exit 1; done"}

// HelperProbe is a companion with a container for each image. The suite's own pods can have the images of those that
// end well, see [ChooseHelper].
func (m *Manifest) HelperProbe(images []string) *corev1.Pod {
	var containers []corev1.Container
	for i, image := range images {
		containers = append(containers, corev1.Container{Name: fmt.Sprintf("image-%d", i), Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Command: helperCommand})
	}
	return m.Companion("helper-", containers...)
}

// HelperProbed reports whether a probe has shown what it can: each of its containers has ended, or waits for what it cannot have.
func HelperProbed(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed || len(p.Status.ContainerStatuses) == len(p.Spec.Containers) && !slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
		waits := s.State.Waiting
		return s.State.Terminated == nil && (waits == nil || !slices.Contains(hopeless, waits.Reason))
	})
}

// hopeless are the reasons of a container that waits because its image cannot be had, or lacks the program to start.
var hopeless = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerError", "RunContainerError"}

// ChooseHelper returns the first image of a probe whose container ended well.
func ChooseHelper(p *corev1.Pod) (image string, ok bool) {
	for _, c := range p.Spec.Containers {
		for _, s := range p.Status.ContainerStatuses {
			if ended := s.State.Terminated; s.Name == c.Name && ended != nil && ended.ExitCode == 0 {
				return c.Image, true
			}
		}
	}
	return "", false
}
