package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"pmem-memcached-e2e/framework/redact"
)

// LearnSecrets lets secrets learn those of the manifest.
func (m *Manifest) LearnSecrets(secrets *redact.Redactor) {
	objects := make([]map[string]any, len(m.Objects))
	for i, o := range m.Objects {
		objects[i] = o.Object
	}
	secrets.LearnObjects(objects...)
}

// LearnFiles lets secrets learn those in the files of a kustomization that does not render, as the error can quote them.
// What cannot be read is left out.
func LearnFiles(dir string, secrets *redact.Redactor) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		text := string(data)
		secrets.LearnText(text)
		var objects []map[string]any
		for document := range strings.SplitSeq(text, "\n---") {
			var o map[string]any
			if yaml.Unmarshal([]byte(document), &o) == nil && o != nil {
				objects = append(objects, o)
				learnGenerators(filepath.Dir(path), o, secrets)
			}
		}
		secrets.LearnObjects(objects...)
		return nil
	})
}

// learnGenerators learns what a kustomization makes Secrets from.
func learnGenerators(dir string, kustomization map[string]any, secrets *redact.Redactor) {
	generators, _ := kustomization["secretGenerator"].([]any)
	for _, item := range generators {
		generator, _ := item.(map[string]any)
		for _, field := range []string{"literals", "files", "envs"} {
			sources, _ := generator[field].([]any)
			for _, item := range sources {
				source, _ := item.(string)
				_, value, named := strings.Cut(source, "=")
				if !named {
					value = source
				}
				if field != "literals" {
					data, _ := os.ReadFile(filepath.Join(dir, value))
					value = string(data)
				}
				secrets.Learn(strings.Trim(value, `"'`))
			}
		}
	}
}
