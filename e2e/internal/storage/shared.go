package storage

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"pmem-memcached-e2e/framework"
)

// Shared reports which of some claims have the same volume of their driver. Those that are not bound are left out.
func Shared(ctx context.Context, e *framework.Env, claims []corev1.PersistentVolumeClaim) []string {
	whose := map[string][]string{}
	for i := range claims {
		if claims[i].Spec.VolumeName == "" {
			continue
		}
		pv, err := e.Cluster.Client.CoreV1().PersistentVolumes().Get(ctx, claims[i].Spec.VolumeName, metav1.GetOptions{})
		e.NoError(err, "get the volume of %s", framework.Name("claim", &claims[i]))
		if csi := pv.Spec.CSI; csi != nil {
			volume := csi.Driver + " " + csi.VolumeHandle
			whose[volume] = append(whose[volume], claims[i].Name)
		}
	}
	var shared []string
	for _, volume := range slices.Sorted(maps.Keys(whose)) {
		if names := whose[volume]; len(names) > 1 {
			shared = append(shared, strings.Join(names, " and ")+" have "+volume)
		}
	}
	return shared
}
