package deploy

import "strings"

// Expand replaces references to variables in a word of a container's command
// or arguments as the kubelet does before it starts the container: $(NAME)
// becomes the value, or stays what it is when there is no such variable, and
// $$ becomes $ (Kubernetes API, Container.command).
func Expand(word string, value func(name string) (string, bool)) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(word, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		word = after
		if rest, escaped := strings.CutPrefix(word, "$"); escaped {
			b.WriteByte('$')
			word = rest
			continue
		}
		name, rest, closed := strings.Cut(strings.TrimPrefix(word, "("), ")")
		if !strings.HasPrefix(word, "(") || !closed {
			b.WriteByte('$')
			continue
		}
		if v, ok := value(name); ok {
			b.WriteString(v)
		} else {
			b.WriteString("$(" + name + ")")
		}
		word = rest
	}
}
