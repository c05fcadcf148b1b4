package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/spec"
	"pmem-memcached-e2e/framework/strictyaml"
	"pmem-memcached-e2e/framework/wait"
)

// digestKey begins the first line of an encoded Document: the SHA-256 of all
// lines below it.
const digestKey = "digest: sha256:"

// Encode writes d as YAML, with its digest as the first line. Bytes that are
// no UTF-8 become U+FFFD.
func Encode(d Document) ([]byte, error) {
	body, err := yaml.MarshalWithOptions(d,
		text[string](), text[spec.ReqID](), text[spec.Level](), text[spec.Profile](), text[spec.Outcome](),
		text[wait.Name](), text[Result](), text[CheckState](), text[Purpose](), text[BaselineState]())
	if err != nil {
		return nil, fmt.Errorf("encode the report: %w", err)
	}
	return append([]byte(digestKey+digest(body)+"\n"), body...), nil
}

// text writes strings that may hold anything that a cluster says.
func text[T ~string]() yaml.EncodeOption {
	return yaml.CustomMarshaler(func(s T) ([]byte, error) { return []byte(strictyaml.Text(string(s))), nil })
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

var digestForm = regexp.MustCompile(`^digest: sha256:[0-9a-f]{64}$`)

// split separates the digest from what it is about.
func split(name string, data []byte) (sum string, body []byte, err error) {
	line, rest, ok := strings.Cut(string(data), "\n")
	switch {
	case !digestForm.MatchString(line):
		return "", nil, fmt.Errorf("%s:1: the line is %.100q, want %q and 64 hexadecimal digits, as in every report.yaml", name, line, digestKey)
	case !ok:
		return "", nil, fmt.Errorf("%s:1: nothing follows the digest, want the report: the file is cut off", name)
	}
	return strings.TrimPrefix(line, digestKey), []byte(rest), nil
}

// Decode reads what Encode wrote; name is for errors, which have line, key,
// value and what was expected. A key that is unknown, missing or there twice
// is an error, and so is a value of another type. The digest is not compared:
// [ValidateFile] does that.
func Decode(name string, data []byte) (Document, error) {
	_, body, err := split(name, data)
	if err != nil {
		return Document{}, err
	}
	f, err := strictyaml.Parse(name, 1, body)
	if err != nil {
		return Document{}, err
	}
	if err := f.Require("schema", Schema, "use the version of this suite that wrote the report"); err != nil {
		return Document{}, err
	}
	var d Document
	if err := f.Decode(&d); err != nil {
		return Document{}, err
	}
	return d, nil
}
