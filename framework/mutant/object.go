package mutant

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// needed are fields without which the API server or the suite knows no deployment. Whatever is below them
// is edited nevertheless.
var needed = []string{"kind", "apiVersion", "metadata", "spec", "selector", "matchLabels", "template", "labels", "containers", "name",
	"mountPath", "volumes", "ports", "port", "containerPort", "requests", "driver", "accessModes", "configMap", "tcpSocket", "csi"}

// values are exchanged where a field has one of them.
var values = []struct {
	was string
	is  []string
}{
	{"ClusterIP", []string{"NodePort", "LoadBalancer"}}, {"TCP", []string{"UDP"}},
	{"OnRootMismatch", []string{"Always"}}, {"RuntimeDefault", []string{"Unconfined"}},
	{"ReadWriteOnce", []string{"ReadWriteOncePod", "ReadWriteMany"}},
	{"persistent", []string{"ephemeral"}}, {"ephemeral", []string{"persistent"}}, {"ALL", []string{"NET_RAW"}},
	{"200Mi", []string{"200M", "100Mi"}},
	{"64Mi", []string{"64Ki"}}, {"16Mi", []string{"16Ki"}}, {"100m", []string{"100"}}, {"50m", []string{"50"}},
	// Arguments for memcached.
	{"", []string{"-M", "-C", "-F", "-U 11211", "-A", "-m 64", "-l 127.0.0.1", "-p 11212", "-t 1", "-I 2m", "-I 512k", "-n 96", "-f 2", "-R 1", "-B ascii",
		"-B binary", "-v", "-b 4096", "-e /data/other", "-e /tmp/other", "-o no_lru_crawler", "-o no_hashexpand", "-o hashpower=18"}},
}

// shorter makes names of paths that are easier to read.
var shorter = strings.NewReplacer("template.spec.containers.", "", "template.spec.initContainers.data-volume-init.", "init.", "template.spec.", "pod.",
	"volumeClaimTemplates.0.spec.", "claim.", "env.MEMCACHED_ARGS.value", "args", "securityContext.", "security.", "resources.", "")

// object is a document of a manifest.
type object = yaml.MapSlice

// objectEdits drop each field, exchange values, switch booleans, and set numbers to 0 and to twice as much.
func objectEdits(text []byte) ([]Edit, error) {
	documents, err := decode(text)
	if err != nil {
		return nil, err
	}
	w := walk{documents: documents}
	for _, d := range documents {
		w.mapping(d, nil, func(changed object) any { return changed })
		w.done++
	}
	return w.edits, w.err
}

func decode(text []byte) ([]object, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.UseOrderedMap())
	var documents []object
	for {
		var d object
		if err := decoder.Decode(&d); errors.Is(err, io.EOF) {
			return documents, nil
		} else if err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
}

// walk visits every value of some documents. What is around a value is a function that returns the document
// with another value in its place.
type walk struct {
	documents []object
	done      int // the document that is visited
	edits     []Edit
	err       error
}

func (w *walk) mapping(m object, path []string, around func(object) any) {
	for i, item := range m {
		key := fmt.Sprint(item.Key)
		below := append(slices.Clone(path), key)
		if len(path) == 0 && key != "spec" {
			continue
		}
		if !slices.Contains(needed, key) {
			w.edit("drop", below, item, around(slices.Delete(slices.Clone(m), i, i+1)), nil)
		}
		w.value(item.Value, below, func(v any) any {
			changed := slices.Clone(m)
			changed[i].Value = v
			return around(changed)
		})
	}
}

func (w *walk) value(v any, path []string, around func(any) any) {
	switch v := v.(type) {
	case object:
		if last := path[len(path)-1]; last == "selector" || last == "labels" || last == "metadata" {
			return // of its pods: another one is not this deployment's
		}
		w.mapping(v, path, func(changed object) any { return around(changed) })
	case []any:
		for i, item := range v {
			below := append(slices.Clone(path), itemName(item, i))
			if len(v) > 1 {
				w.edit("drop", below, item, around(slices.Delete(slices.Clone(v), i, i+1)), nil)
			}
			w.value(item, below, func(changed any) any {
				list := slices.Clone(v)
				list[i] = changed
				return around(list)
			})
		}
	case bool:
		w.edit("set", path, v, around(!v), !v)
	case uint64:
		w.edit("set", path, v, around(uint64(0)), 0)
		w.edit("set", path, v, around(2*v), 2*v)
	case string:
		for _, x := range values {
			if x.was != v {
				continue
			}
			for _, is := range x.is {
				w.edit("set", path, v, around(is), is)
			}
		}
	}
}

// itemName is the name of an item of a list, or its number.
func itemName(item any, i int) string {
	if m, ok := item.(object); ok {
		for _, field := range m {
			if field.Key == "name" {
				return fmt.Sprint(field.Value)
			}
		}
	}
	return fmt.Sprint(i)
}

// edit notes that the value at path is another one in changed, a document; is is nil when it was dropped.
func (w *walk) edit(rule string, path []string, was, changed, is any) {
	if w.err != nil {
		return
	}
	name := strings.TrimPrefix(strings.Join(path, "."), "spec.")
	name = shorter.Replace(name)
	e := Edit{Name: rule + " " + name}
	if m, ok := was.(yaml.MapItem); ok {
		was = object{m}
	}
	text, err := yaml.Marshal(was)
	e.Was = strings.TrimSpace(string(text))
	if is != nil {
		e.Name += fmt.Sprintf(" %v", is)
		e.Was, e.Is = fmt.Sprintf("%s: %v", name, was), fmt.Sprintf("%s: %v", name, is)
	}
	documents := slices.Clone(w.documents)
	documents[w.done], _ = changed.(object)
	var encodeErr error
	e.text, encodeErr = encode(documents)
	w.edits, w.err = append(w.edits, e), errors.Join(err, encodeErr)
}
