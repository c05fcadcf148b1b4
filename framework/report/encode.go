package report

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"pmem-memcached-e2e/framework/spec"
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

// text writes strings that may hold anything that a cluster says. The
// library's own choice of quotes loses tabs, carriage returns and the
// indentation of a first line.
func text[T ~string]() yaml.EncodeOption {
	return yaml.CustomMarshaler(func(s T) ([]byte, error) { return []byte(scalar(string(s))), nil })
}

var (
	plainForm = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9 _.,=/();+-]*[A-Za-z0-9_./)])?$`)
	notText   = []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
)

func scalar(s string) string {
	if plainForm.MatchString(s) && !slices.Contains(notText, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD"))
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

// Decode reads what Encode wrote; name is for errors, which tell line, key,
// value and what was expected. A key that is unknown, missing or there twice
// is an error, and so is a value of another type. The digest is not compared:
// [ValidateFile] does that.
func Decode(name string, data []byte) (Document, error) {
	_, body, err := split(name, data)
	if err != nil {
		return Document{}, err
	}
	f := form{name: name, above: 1}
	root, err := f.parse(body)
	if err != nil {
		return Document{}, err
	}
	if err := f.schema(root); err != nil {
		return Document{}, err
	}
	var d Document
	if err := f.check(root, "", &d); err != nil {
		return Document{}, err
	}
	if err := yaml.UnmarshalWithOptions(body, &d, yaml.Strict()); err != nil {
		return Document{}, f.located(err)
	}
	return d, nil
}

// located puts file and line before an error of the YAML library.
func (f form) located(err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	token := e.GetToken()
	message, _, _ := strings.Cut(e.GetMessage(), "\n")
	return fmt.Errorf("%s:%d: at %q: %s, want well-formed YAML", f.name, token.Position.Line+f.above, strings.TrimSpace(token.Value), message)
}
