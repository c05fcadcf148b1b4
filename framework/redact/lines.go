package redact

import (
	"regexp"
	"strings"
)

// withoutForms replaces what has the form of a secret in YAML, JSON, descriptions, command lines and logs alike.
// It calls found with each value that a name shows to be secret.
func withoutForms(text string, found func(secret string)) string {
	if strings.Contains(text, "PRIVATE KEY-----") {
		for _, pattern := range privateKeys {
			text = pattern.ReplaceAllString(text, Mark)
		}
	}
	var b strings.Builder
	b.Grow(len(text))
	l := newLines(found)
	for line := range strings.Lines(text) {
		b.WriteString(l.next(line))
	}
	return b.String()
}

// privateKeys are blocks of RFC 7468; also in one line with escaped line ends, and without their end or start.
var privateKeys = []*regexp.Regexp{
	regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[^-]|-{1,4}[^-])*-----END [A-Z0-9 ]*PRIVATE KEY-----`),
	regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:\s*[A-Za-z0-9+/=\\]+)*`),
	regexp.MustCompile(`(?:[A-Za-z0-9+/=]{16,}\s+)*[A-Za-z0-9+/=]*\s*-----END [A-Z0-9 ]*PRIVATE KEY-----`),
}

var (
	// field is a line of YAML, or of a description, with a name and a value.
	field = regexp.MustCompile(`^(\s*(?:- )*["']?)([\w.-]+)(["']?:[ \t]+)(\S.*)$`)
	// item is a line with one word, as in a list of arguments.
	item = regexp.MustCompile(`^(\s*(?:- )*["']?)([^\s"']\S*?|[^\s"'][^"']*)(["']?,?\s*\\?)$`)
	// trailingFlag is a flag at the end of a line, whose value is on the next.
	trailingFlag = regexp.MustCompile(`(?:^|[\s"'\[])--?([A-Za-z][\w.-]*)["']?,?\s*\\?$`)
	// assigned is a line of a file of settings.
	assigned = regexp.MustCompile(`^\s*["']?([\w.-]+)["']?(?:\s*=\s*|:\s+)([^\s=].*)$`)
	// harmless values show that there is no secret, or where it is.
	harmless = regexp.MustCompile(`^(?:<.*|""|''|null|true|false|\{\}|\[\]|` + Mark + `["',\\]*.*)$`)
	block    = regexp.MustCompile(`^(?:- )*[|>][+-]?\d*$`)
)

// lines redacts line by line. It knows that a value can be on the line after its name, or on several.
type lines struct {
	found func(secret string)

	dropped  int  // indentation of the field whose further lines are dropped; -1: none
	variable bool // the line before was the name of a secret variable
	flag     bool // the line before ended with a flag whose value is secret
	key      bool // within a private key
}

func newLines(found func(secret string)) *lines { return &lines{found: found, dropped: -1} }

// next returns what is recorded of a line, which may have its end.
func (l *lines) next(line string) string {
	body := strings.TrimRight(line, "\r\n")
	end := line[len(body):]
	if l.key {
		l.key = !strings.Contains(body, "-----END ")
		return ""
	}
	if start := strings.Index(body, "-----BEGIN "); start >= 0 && strings.Contains(body[start:], "PRIVATE KEY-----") && !strings.Contains(body, "-----END ") {
		l.key = true
		return body[:start] + Mark + end
	}
	indent := len(body) - len(strings.TrimLeft(body, " \t"))
	if l.dropped >= 0 && (indent > l.dropped || body == "") && body != "---" {
		return ""
	}
	l.dropped = -1
	if l.flag {
		l.flag = false
		if replaced, ok := l.valueOfFlag(body, indent); ok {
			return replaced + end
		}
	}
	if m := trailingFlag.FindStringSubmatch(body); m != nil {
		l.flag = IsSecret(m[1])
	}
	return l.field(body, indent) + end
}

// valueOfFlag redacts a line that has nothing but a value, or begins with it.
func (l *lines) valueOfFlag(body string, indent int) (string, bool) {
	parts := item.FindStringSubmatch(body)
	if parts == nil || strings.HasPrefix(parts[2], "--") || harmless.MatchString(parts[2]) {
		return "", false
	}
	if block.MatchString(strings.TrimSpace(parts[2])) {
		l.dropped = indent
	}
	l.found(parts[2])
	return parts[1] + Mark + parts[3], true
}

// field redacts a line that has a name and a value, and any other.
func (l *lines) field(body string, indent int) string {
	parts := field.FindStringSubmatch(body)
	if parts == nil {
		l.variable = false
		return redactLine(body, l.found)
	}
	lead, name, colon, value := parts[1], parts[2], parts[3], parts[4]
	secret := IsSecret(name) || l.variable && name == "value"
	l.variable = name == "name" && IsSecret(strings.Trim(value, `"', `))
	if !secret || harmless.MatchString(value) {
		return redactLine(body, l.found)
	}
	l.dropped = indent
	if trimmed := strings.TrimRight(lead, `"'`); strings.HasSuffix(trimmed, "- ") {
		l.dropped = len(trimmed)
	}
	l.found(strings.Trim(value, `"', `))
	return lead + name + colon + Mark
}
