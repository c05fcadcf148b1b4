package redact

import (
	"slices"
	"strings"
	"unicode"
)

var (
	// secretWords make the name that they are in one of a secret.
	secretWords = []string{"password", "passwords", "passwd", "passphrase", "passcode", "pass", "pswd", "pwd", "pw", "secret", "token",
		"credential", "credentials", "creds", "cred", "apikey", "accesskey", "secretkey", "privatekey", "psk", "pwdb", "sasldb", "htpasswd",
		"authorization", "jwt", "cookie", "requirepass", "masterauth", "dockerconfigjson", "dockercfg", "connectionstring", "dsn"}
	// secretEndings do so at the end of a word that has no separator.
	secretEndings = []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "pwdb"}
	// keyKinds are the words before "key" of keys that are secret.
	keyKinds = []string{"private", "access", "api", "secret", "encryption", "signing", "ssh", "client", "tls", "master", "session",
		"storage", "account", "shared", "auth", "server", "rsa", "ecdsa", "ed25519", "subscription"}
	// aboutSecrets are the last words of names that refer to a secret or describe it.
	aboutSecrets = []string{"name", "names", "ref", "refs", "file", "files", "filename", "path", "paths", "dir", "directory", "ttl",
		"expiration", "expiry", "seconds", "length", "policy", "type", "types", "enabled", "mode", "count", "size", "version", "id",
		"namespace", "provider", "issuer", "algorithm", "volume", "mount", "prefix", "endpoint", "uid", "items", "optional"}
	// fileEndings say nothing about the content.
	fileEndings = []string{"txt", "conf", "cfg", "ini", "yaml", "yml", "json", "properties", "env", "db"}
)

// IsSecret reports whether something of this name, such as a variable, a field, a flag or a file, has a secret as its
// value, regardless of case. Names that only refer to a secret, such as secretName, have none.
func IsSecret(name string) bool {
	if name == "PWD" || name == "OLDPWD" { // the working directory of a shell
		return false
	}
	switch strings.ToLower(name) {
	case "client-key-data", "client-certificate-data", "certificate-authority-data":
		return true
	}
	words := wordsOf(name)
	for len(words) > 1 && slices.Contains(fileEndings, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	if slices.Contains(aboutSecrets, last) {
		return false
	}
	for i, word := range words {
		switch {
		case slices.Contains(secretWords, word):
			return true
		case slices.ContainsFunc(secretEndings, func(end string) bool { return strings.HasSuffix(word, end) }):
			return true
		case word == "key" && i > 0 && slices.Contains(keyKinds, words[i-1]):
			return true
		}
	}
	// DEMO_KEY and CACHE_AUTH, but not auth or key: those are words of many other things.
	if last == "auth" {
		return len(words) > 1
	}
	return last == "key" && strings.ToUpper(name) == name
}

// wordsOf splits a name where a separator is and where its case changes, and returns the words in lower case.
func wordsOf(name string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
		}
		word = nil
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1])):
			end()
		}
		word = append(word, r)
	}
	end()
	return words
}
