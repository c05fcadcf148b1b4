package mutant

import (
	"fmt"
	"slices"

	"pmem-memcached-e2e/framework/mutant/liar"
)

// LyingImage is an image that only the lab can make, see e2e lab image. Its variable FAULT names what is wrong with it.
const LyingImage = "lab.invalid/lying-memcached:1.6.38"

// lies put a memcached that lies, by each of the faults, in the place of the manifest's own, and the control.
func lies(text []byte) ([]Edit, error) {
	documents, err := decode(text)
	if err != nil {
		return nil, err
	}
	var edits []Edit
	for _, fault := range liar.Faults() {
		changed := slices.Clone(documents)
		was := ""
		for i, d := range documents {
			changed[i], _ = atPath(d, []string{"spec", "template", "spec", "containers"}, func(containers any) any {
				list, _ := containers.([]any)
				for i, item := range list {
					if itemName(item, i) != "memcached" {
						continue
					}
					container := atPath(item, []string{"image"}, func(image any) any {
						was = fmt.Sprint(image)
						return LyingImage
					})
					list[i] = atPath(container, []string{"env"}, func(env any) any {
						variables, _ := env.([]any)
						return append(variables, object{{Key: "name", Value: "FAULT"}, {Key: "value", Value: string(fault)}})
					})
				}
				return list
			}).(object)
		}
		text, err := encode(changed)
		if err != nil {
			return nil, err
		}
		edits = append(edits, Edit{Name: "lie " + string(fault), Was: was, Is: LyingImage + " where " + fault.Describe(), text: text})
	}
	return edits, nil
}

// atPath returns a copy of v in which the value at a path of keys is another one; v itself when it has no such path.
func atPath(v any, path []string, change func(any) any) any {
	if len(path) == 0 {
		return change(copied(v))
	}
	m, ok := v.(object)
	if !ok {
		return v
	}
	m = copied(m).(object)
	for i, item := range m {
		if item.Key == path[0] {
			m[i].Value = atPath(item.Value, path[1:], change)
		}
	}
	return m
}

// copied is v with a list or mapping of its own.
func copied(v any) any {
	switch v := v.(type) {
	case object:
		return append(object(nil), v...)
	case []any:
		return append([]any(nil), v...)
	}
	return v
}
