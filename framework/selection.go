package framework

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"pmem-memcached-e2e/framework/config"
	"pmem-memcached-e2e/framework/nearest"
	"pmem-memcached-e2e/framework/spec"
)

// ginkgoConfig returns Ginkgo's configuration for a run of the specs with the
// given ids that takes at most limit.
func ginkgoConfig(c config.Config, ids []string, limit time.Duration) (types.SuiteConfig, types.ReporterConfig) {
	suiteConfig, reporterConfig := types.NewDefaultSuiteConfig(), types.NewDefaultReporterConfig()
	suiteConfig.FocusStrings = focusOn(ids)
	if c.Select.Seed != 0 {
		suiteConfig.RandomSeed = c.Select.Seed
	}
	suiteConfig.Timeout = limit
	if c.Retries > 0 {
		suiteConfig.FlakeAttempts = c.Retries + 1
	}
	suiteConfig.FailOnEmpty = true
	reporterConfig.Verbose, reporterConfig.SilenceSkips, reporterConfig.NoColor = true, true, true
	return suiteConfig, reporterConfig
}

// focusOn returns the expression by which Ginkgo finds the specs with the given
// ids. What it examines begins with the title of the suite.
func focusOn(ids []string) []string {
	return []string{"^" + regexp.QuoteMeta(title) + " (" + strings.Join(ids, "|") + ") "}
}

// selected returns the ids of the specs that c selects, by the kind of the run,
// LABELS and FOCUS. The errors are FieldErrors. FOCUS is about "ID title" or the
// id alone, in any case, so that ^RST-01$ is one spec.
func selected(c config.Config, specs []spec.Spec) ([]string, error) {
	labels, labelErr := parseLabels(c.Select.Labels, specs)
	focus, focusErr := parseFocus(c.Select.Focus, specs)
	if err := errors.Join(labelErr, focusErr); err != nil {
		return nil, err
	}
	return focused(focus, slices.DeleteFunc(slices.Clone(specs), func(s spec.Spec) bool {
		return !c.Admits(s.Measures()) || !labels(s.Labels())
	})), nil
}

func focused(focus *regexp.Regexp, specs []spec.Spec) []string {
	var ids []string
	for _, s := range specs {
		if focus.MatchString(s.ID+" "+s.Title) || focus.MatchString(s.ID) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// focusOf is a FOCUS that selects one spec only: its id, unless others have that in their id or title.
func focusOf(id string, specs []spec.Spec) string {
	if len(focused(regexp.MustCompile("(?i)"+regexp.QuoteMeta(id)), specs)) <= 1 {
		return id
	}
	return "^" + id + "$"
}

// plainLabel is a part of a label filter that stands for a label, or a regular
// expression between slashes.
var plainLabel = regexp.MustCompile(`/[^/]*/|[^&|!,()/]+`)

// parseLabels refuses a filter that has a label of no spec.
func parseLabels(text string, specs []spec.Spec) (types.LabelFilter, error) {
	refuse := func(remedy string) error {
		return &config.FieldError{Field: "LABELS", Value: text, Remedy: remedy}
	}
	filter, err := types.ParseLabelFilter(text)
	if err != nil {
		return nil, refuse("not a Ginkgo label filter; write one such as 'ephemeral && MUST'")
	}
	known := labelsOf(specs)
	for _, label := range plainLabel.FindAllString(text, -1) {
		label = strings.TrimSpace(label)
		same := func(l string) bool { return strings.EqualFold(l, label) }
		// The labels of specs have no keys, so an operation on sets names none.
		if label == "" || label[0] == '/' || strings.Contains(label, ":") || slices.ContainsFunc(known, same) {
			continue
		}
		return nil, refuse(fmt.Sprintf("there is no label %s; did you mean %s?", label, nearest.To(label, known)))
	}
	return filter, nil
}

func labelsOf(specs []spec.Spec) []string {
	var labels []string
	for _, s := range specs {
		labels = append(labels, s.Labels()...)
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// plainID is a part of a regular expression that stands for an id.
var plainID = regexp.MustCompile(`(?i)\b[a-z]{2,4}-[0-9]{2}[a-z]?\b`)

// parseFocus refuses an expression that has an id which no spec has.
func parseFocus(text string, specs []spec.Spec) (*regexp.Regexp, error) {
	refuse := func(remedy string) error {
		return &config.FieldError{Field: "FOCUS", Value: text, Remedy: remedy}
	}
	focus, err := regexp.Compile("(?i)" + text)
	if err != nil {
		return nil, refuse("not a regular expression; give one such as RST-01")
	}
	for _, id := range plainID.FindAllString(text, -1) {
		id = strings.ToUpper(id)
		var ids, covering []string
		named := false
		for _, s := range specs {
			ids = append(ids, s.ID)
			named = named || strings.Contains(strings.ToUpper(s.ID+" "+s.Title), id)
			if slices.Contains(s.Covers, spec.ReqID(id)) {
				covering = append(covering, s.ID)
			}
		}
		switch {
		case named:
		case len(covering) > 0:
			return nil, refuse(fmt.Sprintf("%s is a requirement and not a spec; give LABELS=%s for what covers it: %s", id, id, strings.Join(covering, ", ")))
		default:
			return nil, refuse(fmt.Sprintf("there is no spec %s; did you mean %s?", id, nearest.To(id, ids)))
		}
	}
	return focus, nil
}
