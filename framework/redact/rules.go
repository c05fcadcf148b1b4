package redact

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A rule redacts lines that have one of the hints, in lower case; without hints, lines that can have the name of a secret.
// The hints are there because most lines have none, and searching for patterns takes a hundred times as long.
type rule struct {
	hints  []string
	redact func(line string, found func(secret string)) string
}

// named are rules for lines that can have the name of a secret.
var named []string

// nameParts are in every name for which IsSecret holds, but for those of keys.
var nameParts = []string{"pass", "pswd", "pw", "secret", "token", "cred", "psk", "sasldb", "auth", "jwt", "cookie",
	"dockerc", "connectionstring", "dsn", "-data"}

func canName(line, lower string) bool {
	if strings.Contains(line, "KEY") || slices.ContainsFunc(nameParts, func(part string) bool { return strings.Contains(lower, part) }) {
		return true
	}
	for rest := lower; ; {
		before, after, found := strings.Cut(rest, "key")
		switch {
		case !found:
			return false
		case before != "" && (wordByte(before, len(before)-1) || strings.ContainsAny(before[len(before)-1:], "-_.")):
			return true
		}
		rest = after
	}
}

// redactLine is for what stands within one line. It calls found with each secret.
func redactLine(line string, found func(secret string)) string {
	lower := strings.ToLower(line)
	can := canName(line, lower)
	for _, r := range rules {
		if r.hints == nil && can || slices.ContainsFunc(r.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
			line = r.redact(line, found)
		}
	}
	return line
}

// matching replaces the group "secret" of a pattern, if IsSecret holds for its group "name", or if it has none.
func matching(hints []string, pattern string) rule {
	p := regexp.MustCompile(pattern)
	name, secret := p.SubexpIndex("name"), p.SubexpIndex("secret")
	return rule{hints, func(line string, found func(string)) string {
		var b strings.Builder
		end := 0
		for _, m := range p.FindAllStringSubmatchIndex(line, -1) {
			value := line[m[2*secret]:m[2*secret+1]]
			if name >= 0 && !IsSecret(line[m[2*name]:m[2*name+1]]) || harmless.MatchString(value) || strings.HasSuffix(value, Mark) {
				continue
			}
			found(strings.Trim(value, `"'`))
			b.WriteString(line[end:m[2*secret]] + Mark)
			end = m[2*secret+1]
		}
		return b.String() + line[end:]
	}}
}

const (
	name  = `(?P<name>[A-Za-z_][\w.-]*)`
	value = `(?P<secret>"[^"]*"|'[^']*'|[^\s"',&;)\]}]+)`
)

var rules = []rule{
	// RFC 7519: header, payload and signature; the first is an object, so it starts with {".
	matching([]string{"eyj"}, `\b(?P<secret>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)`),
	matching([]string{"authorization"}, `(?i)\bauthorization\\*["']?\s*[:=]\s*\[?\\*["']?(?:basic|bearer|digest|negotiate|token|apikey)\s+(?P<secret>[^\s"'\\,\]]+)`),
	matching([]string{"://"}, `://[^/\s:@"']*:(?P<secret>[^/\s"']+)@`),
	matching([]string{"://"}, `://(?P<secret>[^/\s:@"'.]{16,})@`),
	{[]string{"ls0tls1crudjti"}, redactEncodedKeys},
	{[]string{"bearer"}, redactBearers},
	{named, redactJSON},
	matching(named, `\\*"name\\*"\s*:\s*\\*"(?P<name>[\w.-]+)\\*"\s*,\s*\\*"value\\*"\s*:\s*\\*"(?P<secret>[^"\\]+)`),
	// In braces of YAML.
	matching(named, `[{,]\s*name:\s*["']?(?P<name>[\w.-]+)["']?,\s*value:\s*(?P<secret>"[^"]*"|'[^']*'|[^\s,}"'][^,}]*)`),
	matching(named, `[{,]\s*["']?(?P<name>[\w.-]+)["']?:\s+(?P<secret>"[^"]*"|'[^']*'|[^\s,}"'{\[][^,}]*)`),
	// As Go prints a variable or a header.
	matching(named, `\bName:\s*"?(?P<name>[\w.-]+)"?,?\s+Value:\s*(?P<secret>"[^"]*"|[^\s",}]+)`),
	// Options, on one line or in a list.
	matching(named, `(?:^|[\s"'\[,=])--?(?P<name>[A-Za-z][\w.-]*)(?:=|["']?,?\s+["']?|["'],["'])(?P<secret>(?:[^\s"',\]}=-]|-[^\s"',\]}-])[^\s"',\]}]*|"[^"]*"|'[^']*')`),
	matching(named, `(?:^|[\s"'\[,])--?(?P<name>[A-Za-z][\w.-]*)=`+value),
	matching([]string{"-u", "user"}, `(?:^|[\s"'])(?:-u|--user|--proxy-user)(?:=|["']?,?\s*["']?)[^\s:"'=,]+:(?P<secret>[^\s"',\]]+)`),
	// Queries and variables of a shell.
	matching(named, `(?:^|[\s"'?&;,(\[{\x60])`+name+`\\*["']?=`+value),
	// A file of credentials that a shell writes.
	matching([]string{"echo", "printf"}, `\b(?:echo|printf)\s+(?:-\w+\s+)?\\*["']?[\w.@-]+:(?P<secret>[^\s"'\\>]+)(?:\\+n)?\\*["']?\s*>`),
	// Headers in quotes.
	matching(named, `["'](?P<name>[A-Za-z][\w-]*):\s+(?P<secret>[^"'\s][^"']*)["']`),
	// Files of settings: redis.conf and netrc.
	matching([]string{"requirepass", "masterauth"}, `(?i)\b(?:requirepass|masterauth)\s+(?P<secret>[^\s:=]\S*)`),
	matching([]string{"login"}, `\blogin\s+\S+\s+password\s+(?P<secret>\S+)`),
}

var jsonField = regexp.MustCompile(`(\\*)"([\w./ -]+)\\*"\s*:\s*(\\*"|-?\d[\w.+-]*)`)

// redactJSON replaces the values of secret fields in JSON, also when it is a string of JSON itself, in which each quote
// has backslashes before it.
func redactJSON(line string, found func(string)) string {
	var b strings.Builder
	for {
		m := jsonField.FindStringSubmatchIndex(line)
		if m == nil {
			return b.String() + line
		}
		name, start, end := line[m[4]:m[5]], m[6], m[7]
		after := end
		if line[end-1] == '"' {
			start = end
			after = closing(line, end, line[m[6]:end-1])
		}
		text := line[start:after]
		switch {
		case !IsSecret(name) && name != "auth", text == "", harmless.MatchString(text):
			b.WriteString(line[:end])
			line = line[end:]
			continue
		case start == end:
			found(text)
			if unquoted, err := strconv.Unquote(`"` + text + `"`); err == nil {
				found(unquoted)
			}
			b.WriteString(line[:start] + Mark)
		default:
			found(text)
			b.WriteString(line[:start] + `"` + Mark + `"`)
		}
		line = line[after:]
	}
}

// closing returns where the string ends that begins at start, whose quotes have backslashes before them.
func closing(line string, start int, backslashes string) int {
	for i := start; i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		n := 0
		for i-n-1 >= start && line[i-n-1] == '\\' {
			n++
		}
		// An escaped quote within the string has more of them.
		if n == len(backslashes) || backslashes == "" && n%2 == 0 {
			return i - n*min(1, len(backslashes))
		}
	}
	return len(line)
}

// encodedKey matches base64 of a text that starts with "-----BEGIN ".
var encodedKey = regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/]{20,}={0,2}`)

func redactEncodedKeys(line string, _ func(string)) string {
	return encodedKey.ReplaceAllStringFunc(line, redactEncodedKey)
}

func redactEncodedKey(match string) string {
	unpadded := strings.TrimRight(match, "=")
	unpadded = unpadded[:len(unpadded)/4*4]
	if text, err := base64.StdEncoding.DecodeString(unpadded); err == nil && !strings.Contains(string(text), "PRIVATE KEY-----") {
		return match // a certificate
	}
	return Mark
}

var bearer = regexp.MustCompile(`(?i)\bbearer\s+[A-Za-z0-9._~+/-]{8,}=*`)

func redactBearers(line string, _ func(string)) string {
	return bearer.ReplaceAllStringFunc(line, redactBearer)
}

// redactBearer leaves words of a language: a token has digits, or is longer than they are.
func redactBearer(match string) string {
	word, token := match[:len("bearer")], strings.TrimSpace(match[len("bearer"):])
	if len(token) < 24 && !strings.ContainsAny(token, "0123456789") {
		return match
	}
	return word + " " + Mark
}
