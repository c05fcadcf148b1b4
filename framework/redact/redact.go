// Package redact removes from texts and objects what gives access to something, before they are recorded: the values
// that it has learned from the deployment, also in base64, and whatever has the form of a secret.
package redact

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Mark takes the place of a secret. An empty value stays empty.
const Mark = "REDACTED"

const (
	shortest = 4 // bytes; shorter values are not looked for in texts
	distinct = 8 // bytes; shorter values are replaced only where they are words
)

// A Redactor replaces the secrets that it has learned and those that it recognizes by their form. The zero value has
// learned nothing. It is safe for concurrent use.
type Redactor struct {
	mu     sync.Mutex
	values map[string]bool
	public map[string]bool
	files  map[string]bool // names of ConfigMaps with credentials
	stale  bool            // the two below are older than values
	long   *strings.Replacer
	short  []string
}

// Learn adds values that are secret wherever they appear. Of several lines, and of lines such as "user:password", the
// parts are secret as well. Values that are too short or too common to be one are not.
func (r *Redactor) Learn(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range values {
		r.learn(value)
	}
}

// Public adds words that are no secrets even if a secret has the same value, such as names of objects.
func (r *Redactor) Public(words ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.public == nil {
		r.public = map[string]bool{}
	}
	for _, word := range words {
		r.public[word] = true
		r.stale = true
	}
}

// common are values of settings that hold a secret elsewhere.
var common = []string{"true", "false", "none", "null", "default", "memcached", "localhost", "enabled", "disabled", "required",
	"admin", "root", "user", "username", "password", "secret", "token", "plain", "cache", "data", "basic", "bearer", "docker.io"}

// schemes of the header Authorization.
var schemes = []string{"basic", "bearer", "token", "apikey", "digest", "negotiate"}

func (r *Redactor) learn(value string) {
	value = strings.TrimSpace(value)
	if len(value) < shortest || value == Mark || slices.Contains(common, strings.ToLower(value)) || strings.HasPrefix(value, "-----BEGIN CERTIFICATE") {
		return
	}
	if r.values == nil {
		r.values = map[string]bool{}
	}
	if r.values[value] {
		return
	}
	if lines := strings.Split(value, "\n"); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && !strings.HasPrefix(line, "#") {
				r.learnLine(line)
			}
		}
		return
	}
	r.values[value], r.stale = true, true
	if _, password, ok := credentials(value); ok {
		r.learn(password)
	}
	if scheme, token, ok := strings.Cut(value, " "); ok && slices.Contains(schemes, strings.ToLower(scheme)) {
		r.learn(token)
	}
	// The field "auth" of a file for image registries.
	if decoded, err := base64.StdEncoding.DecodeString(value); err == nil && utf8.Valid(decoded) {
		if _, password, ok := credentials(string(decoded)); ok {
			r.learn(password)
		}
	}
}

// learnLine learns a line of a file that is secret as a whole: what it assigns, unless that is a common word, or all of
// it.
func (r *Redactor) learnLine(line string) {
	parts := assigned.FindStringSubmatch(line)
	if parts == nil {
		r.learn(line)
		return
	}
	if assigned := strings.Trim(parts[2], `"' ,`); IsSecret(parts[1]) || len(assigned) >= distinct && mixed.MatchString(assigned) {
		r.learn(assigned)
	}
}

// mixed is no word of a language, and no path or address.
var mixed = regexp.MustCompile(`^[^/]*(?:[0-9][^/]*[A-Za-z]|[A-Za-z][^/]*[0-9]|[a-z][^/]*[A-Z]|[A-Z][^/]*[A-Z]|[^A-Za-z0-9/.])`)

// credentials splits "user:password".
func credentials(text string) (user, password string, ok bool) {
	user, password, ok = strings.Cut(text, ":")
	return user, password, ok && user != "" && password != "" && !strings.ContainsAny(text, " \t/") && !strings.Contains(user, "=")
}

// forms are the ways in which a value appears in texts.
func forms(value string) []string {
	all := []string{value}
	if quoted, err := json.Marshal(value); err == nil {
		all = append(all, strings.Trim(string(quoted), `"`))
	}
	all = append(all, url.QueryEscape(value), url.PathEscape(value))
	if len(value) < distinct {
		return append(all, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	// A value in the middle of something encoded begins at one of three places of a group of 3 bytes. What the
	// neighbours have a share in is left out.
	for offset := range 3 {
		padded := append(make([]byte, offset), value...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := encoding.EncodeToString(padded)
			all = append(all, whole[(offset*8+5)/6:len(padded)*8/6])
		}
	}
	return append(all, base64.StdEncoding.EncodeToString([]byte(value)))
}

// prepared returns what replaces the values as of now.
func (r *Redactor) prepared() (long *strings.Replacer, short []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stale {
		return r.long, r.short
	}
	all := map[string]bool{}
	for value := range r.values {
		if r.public[value] {
			continue
		}
		for _, form := range forms(value) {
			all[form] = true
		}
	}
	longest := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	r.short = nil
	for _, form := range longest {
		if len(form) < distinct {
			r.short = append(r.short, form)
			continue
		}
		pairs = append(pairs, form, Mark)
	}
	r.long = strings.NewReplacer(pairs...)
	r.stale = false
	return r.long, r.short
}

// learned replaces the values that were learned.
func (r *Redactor) learned(text string) string {
	long, short := r.prepared()
	if long != nil {
		text = long.Replace(text)
	}
	for _, word := range short {
		text = replaceWord(text, word)
	}
	return text
}

// replaceWord replaces word where no letter or digit is next to it.
func replaceWord(text, word string) string {
	if !strings.Contains(text, word) {
		return text
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, word)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if wordByte(before, len(before)-1) || wordByte(after, 0) || before == "" && wordByte(b.String(), b.Len()-1) {
			b.WriteString(word)
		} else {
			b.WriteString(Mark)
		}
		text = after
	}
}

func wordByte(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Text returns text without secrets. What only looks random, such as digests and keys of memcached, stays.
func (r *Redactor) Text(text string) string {
	return withoutForms(r.learned(text), func(string) {})
}

// Error returns err with a message without secrets; nil stays nil.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	return &redactedError{err, r.Text(err.Error())}
}

type redactedError struct {
	error
	text string
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.error }

// LearnText learns what the names in a text show to be secret, such as the value of a variable in a shell's command, and
// nothing else of it.
func (r *Redactor) LearnText(text string) {
	withoutForms(text, func(secret string) { r.Learn(secret) })
}
