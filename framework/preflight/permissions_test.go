package preflight

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"pmem-memcached-e2e/framework/deploy/deploytest"
	"pmem-memcached-e2e/framework/report"
)

// allowing answers reviews by what allowed says about "verb group/resource/subresource".
func allowing(allowed func(string) bool) *fake.Clientset {
	client := fake.NewClientset()
	client.PrependReactor("create", "selfsubjectaccessreviews", func(action ktesting.Action) (bool, runtime.Object, error) {
		review := action.(ktesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
		a := review.Spec.ResourceAttributes
		review.Status.Allowed = a.Namespace == "" && allowed(a.Verb+" "+a.Group+"/"+a.Resource+"/"+a.Subresource)
		return true, review, nil
	})
	return client
}

func TestPermissions(t *testing.T) {
	const remedy = "give the user of the kubeconfig a ClusterRole with these rules: "
	without := func(refused ...string) func(string) bool {
		return func(permission string) bool { return !slices.Contains(refused, permission) }
	}
	for _, test := range []struct {
		name        string
		allowed     func(string) bool
		state       report.CheckState
		saw, remedy string
	}{
		{"all", without(), report.CheckPassed, "all 83 permissions that specs, leak detection and evidence need", ""},
		{"exec and scale are missing", without("create /pods/exec", "patch apps/statefulsets/scale", "delete /pods/", "create /pods/"), report.CheckFailed,
			"missing in all namespaces: create/delete pods, create pods/exec, patch statefulsets.apps/scale",
			remedy + `[{apiGroups: [""], resources: [pods], verbs: [create, delete]}, {apiGroups: [""], resources: [pods/exec], verbs: [create]}, {apiGroups: ["apps"], resources: [statefulsets/scale], verbs: [patch]}]`},
		{"the manifest's objects cannot be made", without("create storage.k8s.io/storageclasses/", "create apps/statefulsets/"), report.CheckFailed,
			"missing in all namespaces: create storageclasses.storage.k8s.io, create statefulsets.apps",
			remedy + `[{apiGroups: ["storage.k8s.io"], resources: [storageclasses], verbs: [create]}, {apiGroups: ["apps"], resources: [statefulsets], verbs: [create]}]`},
		{"leak detection is blind", without("list /secrets/", "list rbac.authorization.k8s.io/roles/"), report.CheckPassed,
			"all 46 permissions that specs need; some leaks, facts and evidence will be missed without: list secrets, list roles.rbac.authorization.k8s.io", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := checkPermissions(t.Context(), subject(t, allowing(test.allowed), deploytest.Inline, ownClass))
			compare(t, f, test.state, test.saw, test.remedy)
		})
	}
	s := subject(t, allowing(without("patch /nodes/")), deploytest.Inline, ownClass)
	compare(t, checkPermissions(t.Context(), s), report.CheckPassed, "all 83 permissions that specs, leak detection and evidence need", "")
	s.Disruptive = true
	compare(t, checkPermissions(t.Context(), s), report.CheckFailed, "missing in all namespaces: patch nodes",
		remedy+`[{apiGroups: [""], resources: [nodes], verbs: [patch]}]`)
	client := fake.NewClientset()
	refusing(client, "create", "selfsubjectaccessreviews")
	compare(t, checkPermissions(t.Context(), subject(t, client)), report.CheckUnknown,
		"ask for the permission to get namespaces: refused by the test",
		"let the user of the kubeconfig create selfsubjectaccessreviews.authorization.k8s.io")
}

const kinds = `Namespaces|ServiceAccounts|Pods|Services|Events|Nodes|PersistentVolumeClaims|PersistentVolumes|Deployments|ReplicaSets|` +
	`StatefulSets|Jobs|EndpointSlices|StorageClasses|CSIDrivers|CSINodes|CSIStorageCapacities|VolumeAttachments|ClusterRoleBindings`

var (
	typed       = regexp.MustCompile(`\.(` + kinds + `)\([^()]*\)\.(Get|List|Create|Delete|Patch|Update)\((.*)`)
	alias       = regexp.MustCompile(`(\w+) := .*\.(` + kinds + `)\([^()]*(?:\(\))?\)$`)
	log         = regexp.MustCompile(`\.GetLogs\(`)
	subresource = regexp.MustCompile(`Resource\("(\w+)"\).*SubResource\("(\w+)"\)`)
	proxy       = regexp.MustCompile(`\bProxyGet\(`)
	drained     = regexp.MustCompile(`\bdrain\.Helper\{`) // of kubectl, for pods of any kind
	listed      = regexp.MustCompile(`\b(?:core\("(\w+)"\)|grouped\("[^"]+", "(\w+)"\)|of\("[^"]*", "\w+", "(\w+)"\))`)
)

// used finds what a file of source asks of the API server, as verb and resource.
func used(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := typed.FindStringSubmatch(line); m != nil {
			found = append(found, use(m[1], m[2], m[3]))
		}
		if m := alias.FindStringSubmatch(line); m != nil {
			for _, call := range regexp.MustCompile(`\b`+m[1]+`\.(Get|List|Create|Delete|Patch|Update)\((.*)`).FindAllStringSubmatch(text, -1) {
				found = append(found, use(m[2], call[1], call[2]))
			}
		}
		if log.MatchString(line) {
			found = append(found, "get pods/log")
		}
		if m := subresource.FindStringSubmatch(line); m != nil {
			verb := "create"
			if strings.Contains(line, ".Get().") {
				verb = "get"
			}
			found = append(found, verb+" "+m[1]+"/"+m[2])
		}
		if proxy.MatchString(line) {
			found = append(found, "get pods/proxy")
		}
		if drained.MatchString(line) {
			found = append(found, "create pods/eviction", "get daemonsets")
		}
		for _, m := range listed.FindAllStringSubmatch(line, -1) {
			found = append(found, "list "+m[1]+m[2]+m[3])
		}
	}
	return found
}

func use(kind, verb, arguments string) string {
	resource := strings.ToLower(kind)
	if strings.HasSuffix(arguments, `"scale")`) {
		resource += "/scale"
	}
	return strings.ToLower(verb) + " " + resource
}

// TestPermissionsAreThoseUsed reads the project's source, so that what is asked of
// the API server and what is asked for beforehand stay the same.
func TestPermissionsAreThoseUsed(t *testing.T) {
	asked := map[string]bool{}
	for _, r := range spread(slices.Concat(needed, disruptive, useful)) {
		name := r.Resource
		if r.subresource != "" {
			name += "/" + r.subresource
		}
		asked[r.verb+" "+name] = true
	}
	found := map[string][]string{}
	for _, root := range []string{"..", filepath.Join("..", "..", "e2e")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "lab" || d.Name() == "testdata") { // the lab has a user of its own
				return filepath.SkipDir
			}
			if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") && root == ".." {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, permission := range used(string(text)) {
				found[permission] = append(found[permission], path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for permission, where := range found {
		if !asked[permission] {
			t.Errorf("%s is used in %s, and not asked for", permission, strings.Join(unique(where), ", "))
		}
	}
	for _, r := range spread(slices.Concat(needed, disruptive)) {
		name := r.Resource
		if r.subresource != "" {
			name += "/" + r.subresource
		}
		if permission := r.verb + " " + name; found[permission] == nil && permission != "create persistentvolumeclaims" { // made as an unstructured object
			t.Errorf("%s is asked for, and not used", permission)
		}
	}
}
