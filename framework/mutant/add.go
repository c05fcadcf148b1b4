package mutant

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// additions are fields that a kind of object gets, each by itself, where it has none.
var additions = []struct {
	kinds, field string
	path         []string // of the mapping
	value        any
}{
	{"Service", "publishNotReadyAddresses", []string{"spec"}, true},
	{"Service", "externalIPs", []string{"spec"}, []string{"192.0.2.1"}},
	{"Deployment StatefulSet", "hostNetwork", podPath, true},
	{"Deployment StatefulSet", "hostPID", podPath, true},
	{"Deployment StatefulSet", "hostIPC", podPath, true},
	{"Deployment StatefulSet", "shareProcessNamespace", podPath, true},
	{"Deployment StatefulSet", "minReadySeconds", []string{"spec"}, 3},
	{"StatefulSet", "podManagementPolicy", []string{"spec"}, "Parallel"},
	{"StatefulSet", "persistentVolumeClaimRetentionPolicy", []string{"spec"}, map[string]string{"whenScaled": "Delete"}},
	{"StatefulSet", "persistentVolumeClaimRetentionPolicy", []string{"spec"}, map[string]string{"whenDeleted": "Delete"}},
}

var podPath = []string{"spec", "template", "spec"}

// addEdits add a field to an object.
func addEdits(text []byte) ([]Edit, error) {
	documents, err := decode(text)
	if err != nil {
		return nil, err
	}
	var edits []Edit
	for _, a := range additions {
		for i, d := range documents {
			if !slices.Contains(strings.Fields(a.kinds), fmt.Sprint(field(d, "kind"))) {
				continue
			}
			changed := slices.Clone(documents)
			changed[i], _ = atPath(d, a.path, func(m any) any {
				o, _ := m.(object)
				return append(o, yaml.MapItem{Key: a.field, Value: a.value})
			}).(object)
			text, err := encode(changed)
			if err != nil {
				return nil, err
			}
			is, err := yaml.Marshal(map[string]any{a.field: a.value})
			if err != nil {
				return nil, err
			}
			edits = append(edits, Edit{Name: "add " + strings.TrimSpace(string(is)), Was: fmt.Sprintf("%s without %s", field(d, "kind"), a.field), Is: strings.TrimSpace(string(is)), text: text})
		}
	}
	return edits, nil
}

func field(o object, key string) any {
	for _, item := range o {
		if item.Key == key {
			return item.Value
		}
	}
	return nil
}

// encode writes documents as one text.
func encode(documents []object) (string, error) {
	var b strings.Builder
	for _, d := range documents {
		text, err := yaml.Marshal(d)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	return b.String(), nil
}
