package pmem

import (
	"crypto/sha256"
	"fmt"
	"regexp"
)

// VolumeID returns what the driver calls a volume of the given name: its logical volume or namespace,
// its state file, and the handle of its persistent volume. The name is what Kubernetes asked for,
// such as pvc-UID. The rule is that of pkg/pmem-csi-driver/controllerserver-node.go of v1.1.0.
func VolumeID(name string) string {
	return fmt.Sprintf("%.6s-%x", name, sha256.Sum224([]byte(name)))
}

// InlineName returns the name under which the kubelet asks for an inline volume of a pod, by the rule of
// pkg/volume/csi/csi_mounter.go of Kubernetes.
func InlineName(podUID, volume string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(podUID+volume)))
}

var volumeID = regexp.MustCompile(`^.{1,6}-[0-9a-f]{56}$`)

// IsVolumeID reports whether name has the form that VolumeID gives.
func IsVolumeID(name string) bool { return volumeID.MatchString(name) }
