package redact

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// LearnObjects learns the secrets of Kubernetes objects that belong together: values of Secrets, of ConfigMaps that are
// named like secrets or that a pod uses as files of credentials, of variables, headers, fields and arguments.
func (r *Redactor) LearnObjects(objects ...map[string]any) {
	for _, o := range objects {
		r.learnNames(o)
		r.learnFiles(o)
	}
	for _, o := range objects {
		w := walk{files: r.credentialFiles(), secret: func(s string) string {
			r.Learn(s)
			r.LearnText(s)
			return s
		}, other: func(s string) string {
			r.LearnText(s)
			return s
		}}
		w.object(o)
	}
}

// Object returns a copy of a Kubernetes object without secrets.
func (r *Redactor) Object(o map[string]any) map[string]any {
	copied, _ := clone(o).(map[string]any)
	w := walk{files: r.credentialFiles(), secret: func(s string) string {
		if s == "" {
			return s
		}
		return Mark
	}, other: r.Text}
	w.object(copied)
	return copied
}

func clone(node any) any {
	switch node := node.(type) {
	case map[string]any:
		copied := maps.Clone(node)
		for key, value := range copied {
			copied[key] = clone(value)
		}
		return copied
	case []any:
		copied := slices.Clone(node)
		for i, value := range copied {
			copied[i] = clone(value)
		}
		return copied
	}
	return node
}

// walk changes the strings of an object. Only base64 of a Secret is passed decoded.
type walk struct {
	files         map[string]bool // names of ConfigMaps with credentials
	secret, other func(string) string
}

func (w walk) object(o map[string]any) {
	switch o["kind"] {
	case "Secret":
		for key, value := range child(o, "data") {
			o["data"].(map[string]any)[key] = w.encoded(key, value)
		}
		w.all(child(o, "stringData"))
	case "ConfigMap":
		data := child(o, "data")
		for key, value := range data {
			text, _ := value.(string)
			if w.files[nameOf(o)] || isCredentials(nameOf(o)) || IsSecret(key) || isCredentials(key) || hasCredentials(text) {
				data[key] = w.secret(text)
			}
		}
		if w.files[nameOf(o)] || isCredentials(nameOf(o)) {
			for key, value := range child(o, "binaryData") {
				o["binaryData"].(map[string]any)[key] = w.encoded(key, value)
			}
		}
	}
	for key, value := range o {
		if o["kind"] == "Secret" && (key == "data" || key == "stringData") {
			continue
		}
		o[key] = w.value(key, value)
	}
}

// encoded is for a value of a Secret in base64.
func (w walk) encoded(key string, value any) any {
	text, _ := value.(string)
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return w.secret(text)
	}
	if key == "namespace" || key == "ca.crt" { // of a service account
		return text
	}
	if replaced := w.secret(string(decoded)); replaced != string(decoded) {
		return replaced
	}
	return text
}

func (w walk) all(values map[string]any) {
	for key, value := range values {
		if text, ok := value.(string); ok {
			values[key] = w.secret(text)
		}
	}
}

func (w walk) value(key string, value any) any {
	switch value := value.(type) {
	case string:
		if IsSecret(key) && !harmless.MatchString(value) {
			return w.secret(value)
		}
		return w.text(value)
	case map[string]any:
		name, _ := value["name"].(string)
		for field, inner := range value {
			if text, ok := inner.(string); ok && field == "value" && IsSecret(name) {
				value[field] = w.secret(text)
				continue
			}
			value[field] = w.value(field, inner)
		}
	case []any:
		flag := false // the value of the one before is secret
		for i, inner := range value {
			text, ok := inner.(string)
			switch {
			case !ok:
				value[i] = w.value("", inner)
			case flag && !strings.HasPrefix(text, "--") || IsSecret(key):
				value[i] = w.secret(text)
			default:
				value[i] = w.other(text)
			}
			flag = ok && strings.HasPrefix(text, "-") && IsSecret(strings.TrimLeft(text, "-"))
		}
	}
	return value
}

// text is for a string that may be an object itself, such as an annotation of kubectl.
func (w walk) text(text string) string {
	var o map[string]any
	if !strings.HasPrefix(strings.TrimSpace(text), "{") || json.Unmarshal([]byte(text), &o) != nil {
		return w.other(text)
	}
	w.object(o)
	encoded, err := json.Marshal(o)
	if err != nil {
		return w.other(text)
	}
	return w.other(string(encoded))
}

var credentialWords = []string{"sasl", "sasldb", "auth", "htpasswd", "secret", "secrets", "credential", "credentials", "creds",
	"password", "passwords", "passwd", "token", "tokens", "pwdb"}

// isCredentials reports whether a file, or an object with files, of this name has credentials.
func isCredentials(name string) bool {
	return slices.ContainsFunc(wordsOf(name), func(word string) bool { return slices.Contains(credentialWords, word) })
}

var number = regexp.MustCompile(`^[0-9]+$`)

// hasCredentials reports whether each line of text is "user:password", as in memcached's file of users.
func hasCredentials(text string) bool {
	found := false
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		_, password, ok := credentials(line)
		if !ok || number.MatchString(password) { // a host and its port
			return false
		}
		found = true
	}
	return found
}

// usersFile finds the files of users that memcached is given, and those of its SASL library.
var usersFile = regexp.MustCompile(`(?:^|\s)(?:-Y\s*|--auth-file[= ]\s*)["']?(/[^\s"']+)`)

// learnFiles finds the ConfigMaps that pods use as files of credentials.
func (r *Redactor) learnFiles(node any) {
	switch node := node.(type) {
	case map[string]any:
		if list, ok := node["containers"].([]any); ok {
			r.learnMounts(list, node["volumes"])
		}
		for _, inner := range node {
			r.learnFiles(inner)
		}
	case []any:
		for _, inner := range node {
			r.learnFiles(inner)
		}
	}
}

func (r *Redactor) learnMounts(containers []any, volumes any) {
	for _, item := range containers {
		container, _ := item.(map[string]any)
		for _, file := range usersFiles(container) {
			for _, item := range list(container, "volumeMounts") {
				mount, _ := item.(map[string]any)
				path, _ := mount["mountPath"].(string)
				if path == "" || file != path && !strings.HasPrefix(file, strings.TrimSuffix(path, "/")+"/") {
					continue
				}
				for _, name := range configMaps(volumes, mount["name"]) {
					r.learnFile(name)
				}
			}
		}
	}
}

func (r *Redactor) learnFile(configMap string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files == nil {
		r.files = map[string]bool{}
	}
	r.files[configMap] = true
}

func (r *Redactor) credentialFiles() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.files)
}

func usersFiles(container map[string]any) []string {
	var files, words []string
	for _, field := range []string{"command", "args"} {
		for _, word := range list(container, field) {
			text, _ := word.(string)
			words = append(words, text)
		}
	}
	for _, item := range list(container, "env") {
		variable, _ := item.(map[string]any)
		text, _ := variable["value"].(string)
		if name, _ := variable["name"].(string); strings.Contains(strings.ToUpper(name), "SASL") && strings.HasPrefix(text, "/") {
			files = append(files, text)
		}
		words = append(words, text)
	}
	for _, match := range usersFile.FindAllStringSubmatch(strings.Join(words, " "), -1) {
		files = append(files, match[1])
	}
	return files
}

// configMaps are the names of those in a volume.
func configMaps(volumes, volume any) []string {
	all, _ := volumes.([]any)
	var names []string
	for _, item := range all {
		v, _ := item.(map[string]any)
		if v["name"] != volume {
			continue
		}
		if name, ok := child(v, "configMap")["name"].(string); ok {
			names = append(names, name)
		}
		for _, item := range list(child(v, "projected"), "sources") {
			source, _ := item.(map[string]any)
			if name, ok := child(source, "configMap")["name"].(string); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// learnNames learns the names of what o has, which are no secrets.
func (r *Redactor) learnNames(node any) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			if text, ok := value.(string); ok && (key == "name" || key == "namespace" || key == "kind" || key == "image" || key == "mountPath") {
				r.Public(text)
			}
			if key != "data" && key != "stringData" && key != "annotations" {
				r.learnNames(value)
			}
		}
	case []any:
		for _, inner := range node {
			r.learnNames(inner)
		}
	}
}

func child(o map[string]any, field string) map[string]any {
	m, _ := o[field].(map[string]any)
	return m
}

func list(o map[string]any, field string) []any {
	l, _ := o[field].([]any)
	return l
}

func nameOf(o map[string]any) string {
	name, _ := child(o, "metadata")["name"].(string)
	return name
}
