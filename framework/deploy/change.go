package deploy

import "strings"

// replaceImages sets image in every container, however deep in node, that runs a memcached image.
func replaceImages(node any, image string) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			list, isList := value.([]any)
			if !isList || (key != "containers" && key != "initContainers") {
				replaceImages(value, image)
				continue
			}
			for _, item := range list {
				container, ok := item.(map[string]any)
				if !ok {
					continue
				}
				if current, _ := container["image"].(string); isMemcached(current) {
					container["image"] = image
					container["imagePullPolicy"] = "IfNotPresent"
				}
			}
		}
	case []any:
		for _, item := range node {
			replaceImages(item, image)
		}
	}
}

// isMemcached reports whether the last element of the image's repository is memcached, whatever
// its registry, tag and digest.
func isMemcached(image string) bool {
	repository, _, _ := strings.Cut(image, "@")
	last := repository[strings.LastIndex(repository, "/")+1:]
	name, _, _ := strings.Cut(last, ":")
	return name == "memcached"
}
