package strictyaml

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	plainForm = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9 _.,=/();+-]*[A-Za-z0-9_./)])?$`)
	notText   = []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
)

// Text is s as it is written in YAML. The library's own choice of quotes loses
// tabs, carriage returns and the indentation of a first line. Bytes that are no
// UTF-8 become U+FFFD.
func Text(s string) string {
	if plainForm.MatchString(s) && !slices.Contains(notText, strings.ToLower(s)) {
		return s
	}
	return strconv.Quote(strings.ToValidUTF8(s, "\uFFFD"))
}
