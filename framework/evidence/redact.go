package evidence

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

const redacted = "REDACTED"

// redactText replaces what gives access to something, in YAML, JSON, descriptions and logs alike: private
// keys, bearer tokens, JSON web tokens, credentials in URLs and kubeconfigs, and the values of fields and
// variables whose names say that they are secret. What only looks random, such as digests and the
// keys of memcached, stays.
func redactText(text string) string {
	if strings.Contains(text, "PRIVATE KEY-----") {
		for _, pattern := range privateKeys {
			text = pattern.ReplaceAllString(text, redacted)
		}
	}
	return redactFields(text)
}

// redactLine is for what stands within one line.
func redactLine(line string) string {
	lower := strings.ToLower(line)
	for _, r := range inLine {
		if slices.ContainsFunc(r.hints, func(hint string) bool { return strings.Contains(lower, hint) || strings.Contains(line, hint) }) {
			line = r.redact(line)
		}
	}
	return line
}

// secretName matches names of fields, flags and options that hold a secret.
const secretName = `(?:[\w.-]*(?:password|passwd|passphrase)|(?:\w*(?:access|refresh|id|auth|bearer|bootstrap|session|api)[-_]?)?token|` +
	`(?:[\w-]*client[-_]?)?secret|[\w-]*(?:secret[-_]?)?(?:access|api|private|secret|encryption)[-_]?key|` +
	`client-key-data|client-certificate-data|certificate-authority-data)`

// secretVariable matches names of environment variables that hold a secret.
const secretVariable = `(?:[A-Z0-9_]*(?:PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|CREDENTIAL)[A-Z0-9_]*|(?:[A-Z0-9_]*_)?(?:API)?KEY)`

// privateKeys are blocks of RFC 7468; also in one line with escaped line ends, and without their end or start.
var privateKeys = []*regexp.Regexp{
	regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[^-]|-{1,4}[^-])*-----END [A-Z0-9 ]*PRIVATE KEY-----`),
	regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:\s*[A-Za-z0-9+/=\\]+)*`),
	regexp.MustCompile(`(?:[A-Za-z0-9+/=]{16,}\s+)*[A-Za-z0-9+/=]*\s*-----END [A-Z0-9 ]*PRIVATE KEY-----`),
}

// A rule redacts lines that have one of the hints, as they are or in lower case. The hints are
// there because most lines have none, and searching for patterns takes a hundred times as long.
type rule struct {
	hints  []string
	redact func(line string) string
}

// words are in every name that secretName and secretVariable match.
var words = []string{"password", "passwd", "passphrase", "token", "secret", "credential", "-data", `"auth`, "KEY",
	"accesskey", "access-key", "access_key", "apikey", "api-key", "api_key", "privatekey", "private-key", "private_key",
	"encryptionkey", "encryption-key", "encryption_key"}

func replacing(hints []string, pattern, by string) rule {
	p := regexp.MustCompile(pattern)
	return rule{hints, func(line string) string { return p.ReplaceAllString(line, by) }}
}

var inLine = []rule{
	// RFC 7519: header, payload and signature; the first is an object, so it starts with {".
	replacing([]string{"eyj"}, `\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`, redacted),
	replacing([]string{"authorization"}, `(?i)(\bauthorization["']?\s*[:=]\s*\[?["']?(?:basic|bearer|digest|negotiate)\s+)[^\s"',\]]+`, "${1}"+redacted),
	replacing([]string{"://"}, `(://[^/\s:@"']+:)[^/\s@"']+@`, "${1}"+redacted+"@"),
	{[]string{"ls0tls1crudjti"}, func(line string) string { return encodedKey.ReplaceAllStringFunc(line, redactEncodedKey) }},
	{[]string{"bearer"}, func(line string) string { return bearer.ReplaceAllStringFunc(line, redactBearer) }},
	// In JSON, also when it is a string of JSON itself.
	replacing(words, `(?i)(\\?"(?:`+secretName+`|auth)\\?"\s*:\s*\\?")[^"\\]+`, "${1}"+redacted),
	replacing(words, `(\\?"`+secretVariable+`\\?"\s*:\s*\\?")[^"\\]+`, "${1}"+redacted),
	replacing(words, `(\\?"name\\?"\s*:\s*\\?"`+secretVariable+`\\?"\s*,\s*\\?"value\\?"\s*:\s*\\?")[^"\\]+`, "${1}"+redacted),
	// Options, queries and variables of a shell.
	replacing([]string{"--"}, `(?i)(--`+secretName+`[= ])("[^"]*"|'[^']*'|[^\s"',\]-][^\s"',\]]*)`, "${1}"+redacted),
	replacing(words, `(?i)((?:^|[\s"'?&;,(\[{])`+secretName+`=)("[^"]*"|'[^']*'|[^\s"',&;)\]}]+)`, "${1}"+redacted),
	replacing(words, `((?:^|[\s"'?&;,(\[{])`+secretVariable+`=)("[^"]*"|'[^']*'|[^\s"',&;)\]}]+)`, "${1}"+redacted),
}

// encodedKey matches base64 of a text that starts with "-----BEGIN ".
var encodedKey = regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/]{20,}={0,2}`)

func redactEncodedKey(match string) string {
	unpadded := strings.TrimRight(match, "=")
	unpadded = unpadded[:len(unpadded)/4*4]
	if text, err := base64.StdEncoding.DecodeString(unpadded); err == nil && !strings.Contains(string(text), "PRIVATE KEY-----") {
		return match // a certificate
	}
	return redacted
}

var bearer = regexp.MustCompile(`(?i)\bbearer\s+[A-Za-z0-9._~+/-]{8,}=*`)

// redactBearer leaves words of a language: a token has digits, or is longer than they are.
func redactBearer(match string) string {
	word, token := match[:len("bearer")], strings.TrimSpace(match[len("bearer"):])
	if len(token) < 24 && !strings.ContainsAny(token, "0123456789") {
		return match
	}
	return word + " " + redacted
}

var (
	// field is a line of YAML, or of a description, with a name and a value.
	field = regexp.MustCompile(`^(\s*(?:- )?["']?)([\w.-]+)(["']?:[ \t]+)(\S.*)$`)
	// harmless values tell that there is no secret, or where it is.
	harmless = regexp.MustCompile(`^(?:<.*|""|''|null|true|false|\{\}|\[\]|REDACTED["',\\]*.*)$`)

	fieldName    = regexp.MustCompile(`^(?i:` + secretName + `)$`)
	variableName = regexp.MustCompile(`^` + secretVariable + `$`)
)

// redactFields replaces the values of secret fields that have a line of their own, with the lines
// that go on with them, which are indented deeper; and the value that follows the name of a secret
// variable.
func redactFields(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	dropped := -1     // indentation of the field whose value is being dropped
	variable := false // the line before was the name of a secret variable
	for line := range strings.Lines(text) {
		body := strings.TrimRight(line, "\r\n")
		indent := len(body) - len(strings.TrimLeft(body, " \t"))
		if dropped >= 0 && (indent > dropped || body == "") && body != "---" {
			continue
		}
		dropped = -1
		parts := field.FindStringSubmatch(body)
		if parts == nil {
			variable = false
			b.WriteString(redactLine(line))
			continue
		}
		lead, name, colon, value := parts[1], parts[2], parts[3], parts[4]
		secret := fieldName.MatchString(name) || variableName.MatchString(name) || variable && name == "value"
		variable = name == "name" && variableName.MatchString(strings.Trim(value, `"',`))
		if !secret || harmless.MatchString(value) {
			b.WriteString(redactLine(line))
			continue
		}
		dropped = indent
		if strings.HasSuffix(strings.TrimRight(lead, `"'`), "- ") {
			dropped += len("- ")
		}
		b.WriteString(lead + name + colon + redacted + line[len(body):])
	}
	return b.String()
}
