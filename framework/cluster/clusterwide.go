package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Nodes lists the nodes, in pages.
func (c *Cluster) Nodes(ctx context.Context) ([]corev1.Node, error) {
	pages, err := Pages(ctx, metav1.ListOptions{}, c.Client.CoreV1().Nodes().List)
	if err != nil {
		return nil, err
	}
	var all []corev1.Node
	for _, page := range pages {
		all = append(all, page.Items...)
	}
	return all, nil
}

// CSINodes lists which drivers each node has, in pages.
func (c *Cluster) CSINodes(ctx context.Context) ([]storagev1.CSINode, error) {
	pages, err := Pages(ctx, metav1.ListOptions{}, c.Client.StorageV1().CSINodes().List)
	if err != nil {
		return nil, err
	}
	var all []storagev1.CSINode
	for _, page := range pages {
		all = append(all, page.Items...)
	}
	return all, nil
}

// Capacities lists what all drivers have published as free, in pages: an object for each class and segment, which
// grows with the product of both.
func (c *Cluster) Capacities(ctx context.Context) ([]storagev1.CSIStorageCapacity, error) {
	pages, err := Pages(ctx, metav1.ListOptions{}, c.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceAll).List)
	if err != nil {
		return nil, err
	}
	var all []storagev1.CSIStorageCapacity
	for _, page := range pages {
		all = append(all, page.Items...)
	}
	return all, nil
}
