package userfile

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pmem-memcached-e2e/framework/golden"
	"pmem-memcached-e2e/framework/report"
	"pmem-memcached-e2e/framework/spec"
)

var catalogue = spec.Catalogue{
	Requirements: []spec.Requirement{{ID: "EPH-01"}, {ID: "RST-01"}, {ID: "RST-02"}},
	Specs:        []spec.Spec{{ID: "RST-01", Covers: []spec.ReqID{"RST-01", "RST-02"}}},
}

func accepted(id string, req spec.ReqID) report.KnownFailure {
	return report.KnownFailure{Spec: id, Requirement: req, Link: "https://example.org/issues/17", Expires: "2026-06-30", Reason: "blocks are reserved"}
}

func knownFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodEntry = `- spec: RST-01
  requirement: RST-02
  link: https://example.org/issues/17
  expires: 2026-06-30
  reason: blocks are reserved
`

// midday of the last day on which goodEntry is accepted.
var lastDay = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

func TestKnown(t *testing.T) {
	other := strings.Replace(goodEntry, "RST-02", "RST-01", 1)
	first, second := accepted("RST-01", "RST-02"), accepted("RST-01", "RST-01")
	first.Line, second.Line = 1, 6
	commented := first
	commented.Line = 3
	west := time.FixedZone("west", -8*3600)
	tests := []struct {
		name, text string
		today      time.Time
		want       []report.KnownFailure
	}{
		{"one", goodEntry, lastDay, []report.KnownFailure{first}},
		{"two", goodEntry + other, lastDay, []report.KnownFailure{first, second}},
		{"with comments", "# accepted\n\n" + goodEntry, lastDay, []report.KnownFailure{commented}},
		{"the last second of the last day", goodEntry, time.Date(2026, 6, 30, 23, 59, 59, 0, west), []report.KnownFailure{first}},
		{"quoted date", strings.Replace(goodEntry, "2026-06-30", `"2026-06-30"`, 1), lastDay, []report.KnownFailure{first}},
		{"empty file", "", lastDay, nil},
		{"only a comment", "# none so far\n", lastDay, nil},
		{"empty list", "[]\n", lastDay, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Known(knownFile(t, tt.text), tt.today, catalogue)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Known() = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// TestKnownRefuses checks the messages as a whole.
func TestKnownRefuses(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(goodEntry, old) {
			t.Fatalf("the entry has no %q", old)
		}
		return strings.Replace(goodEntry, old, new, 1)
	}
	tests := []struct {
		name, text string
		today      time.Time
	}{
		{"no YAML", "- spec: [\n", lastDay},
		{"no list", "spec: RST-01\n", lastDay},
		{"text", "RST-01\n", lastDay},
		{"two documents", goodEntry + "---\n" + goodEntry, lastDay},
		{"an entry that is text", "- RST-01\n", lastDay},
		{"unknown key", goodEntry + "  owner: me\n", lastDay},
		{"a key of the report", goodEntry + "  met: true\n", lastDay},
		{"key twice", goodEntry + "  reason: another\n", lastDay},
		{"missing keys", "- spec: RST-01\n  requirement: RST-02\n", lastDay},
		{"an empty value", replace("reason: blocks are reserved", "reason:"), lastDay},
		{"a blank reason", replace("blocks are reserved", `" "`), lastDay},
		{"a number", replace("RST-01", "17"), lastDay},
		{"unknown spec", replace("RST-01", "RST-99"), lastDay},
		{"unknown requirement", replace("RST-02", "RST-99"), lastDay},
		{"a requirement that the spec does not cover", replace("RST-02", "EPH-01"), lastDay},
		{"link without scheme", replace("https://", ""), lastDay},
		{"link of another scheme", replace("https://", "ftp://"), lastDay},
		{"link without host", replace("https://example.org/issues/17", "https:///x"), lastDay},
		{"link that is none", replace("https://example.org/issues/17", `"https://a b%"`), lastDay},
		{"date in words", replace("2026-06-30", "next summer"), lastDay},
		{"date of no calendar", replace("2026-06-30", "2026-02-30"), lastDay},
		{"date in another order", replace("2026-06-30", "30.06.2026"), lastDay},
		{"expired at midnight", goodEntry, time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)},
		{"expired at midnight elsewhere", goodEntry, time.Date(2026, 7, 1, 0, 0, 0, 0, time.FixedZone("east", 9*3600))},
		{"duplicate", goodEntry + goodEntry, lastDay},
		{"everything at once", "- spec: RST-01\n  owner: me\n- spec: RST-99\n  requirement: RST-98\n  link: nowhere\n  expires: never\n  reason: ''\n" + goodEntry + goodEntry, lastDay.AddDate(1, 0, 0)},
	}
	var got strings.Builder
	for _, tt := range tests {
		path := knownFile(t, tt.text)
		list, err := Known(path, tt.today, catalogue)
		if err == nil || list != nil {
			t.Errorf("%s: Known() = %v, %v, want an error and no entries", tt.name, list, err)
		}
		fmt.Fprintf(&got, "# %s\n%s\n\n", tt.name, strings.ReplaceAll(fmt.Sprint(err), path, "known.yaml"))
	}
	golden.Check(t, "known-errors.txt", []byte(got.String()))
}

func TestKnownWithoutAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := Known(path, lastDay, catalogue); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Known() = %v, want it to name %s", err, path)
	}
}
