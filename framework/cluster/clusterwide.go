package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Nodes lists the nodes, in pages.
func (c *Cluster) Nodes(ctx context.Context) ([]corev1.Node, error) {
	return Items(ctx, metav1.ListOptions{}, c.Client.CoreV1().Nodes().List, func(l *corev1.NodeList) []corev1.Node { return l.Items })
}

// CSINodes lists which drivers each node has, in pages.
func (c *Cluster) CSINodes(ctx context.Context) ([]storagev1.CSINode, error) {
	return Items(ctx, metav1.ListOptions{}, c.Client.StorageV1().CSINodes().List, func(l *storagev1.CSINodeList) []storagev1.CSINode { return l.Items })
}

// Capacities lists what all drivers have published as free, in pages: an object for each class and segment, which
// grows with the product of both.
func (c *Cluster) Capacities(ctx context.Context) ([]storagev1.CSIStorageCapacity, error) {
	return Items(ctx, metav1.ListOptions{}, c.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceAll).List, func(l *storagev1.CSIStorageCapacityList) []storagev1.CSIStorageCapacity { return l.Items })
}
