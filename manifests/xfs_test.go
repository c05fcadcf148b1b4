package manifests_test

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// TestXFS holds that the filesystem and the size of the volume are all that
// the component changes, whether as xfs/ or in an overlay of a user's.
func TestXFS(t *testing.T) {
	const component = `
components:
- ../manifests/components/xfs
`
	const size = "720Mi"
	for _, own := range []map[string]string{nil, {"kustomization.yaml": "resources: [../manifests/ephemeral]" + component}} {
		all := render(t, "xfs/ephemeral", own)
		csi := all.template(t).Spec.Volumes[0].CSI
		if csi == nil || csi.FSType == nil || *csi.FSType != "xfs" || csi.VolumeAttributes["size"] != size || csi.Driver != "pmem-csi.intel.com" {
			t.Fatalf("the inline volume is %+v", csi)
		}
		base := render(t, "ephemeral", nil)
		from := base.template(t).Spec.Volumes[0].CSI
		csi.FSType, csi.VolumeAttributes["size"] = from.FSType, from.VolumeAttributes["size"]
		if !reflect.DeepEqual(all, base) {
			t.Errorf("more than the volume has changed:\n%+v\n%+v", all.Deployment, base.Deployment)
		}
	}
	for _, own := range []map[string]string{nil, {"kustomization.yaml": "resources: [../manifests/persistent]" + component}} {
		all := render(t, "xfs/persistent", own)
		claim := &all.StatefulSet.Spec.VolumeClaimTemplates[0].Spec
		if claim.StorageClassName == nil || *claim.StorageClassName != "pmem-csi-sc-xfs" || claim.Resources.Requests.Storage().Cmp(resource.MustParse(size)) != 0 {
			t.Fatalf("the claim is %+v", claim)
		}
		base := render(t, "persistent", nil)
		from := base.StatefulSet.Spec.VolumeClaimTemplates[0].Spec
		claim.StorageClassName, claim.Resources = from.StorageClassName, from.Resources
		if !reflect.DeepEqual(all, base) {
			t.Errorf("more than the claim has changed:\n%+v\n%+v", all.StatefulSet, base.StatefulSet)
		}
	}
}
