package spec

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

const fileForm = "want a list of chapters with the keys chapter and requirements, and in each requirement " +
	"the keys id, level, profiles, text, source and, if need be, versions, uncovered and unexamined"

var (
	sentenceForm = regexp.MustCompile(`^[A-Z].*\.$`)
	sentenceEnd  = regexp.MustCompile(`[.!?] `)
	versionsForm = regexp.MustCompile(`^(>=|<) [0-9]+\.[0-9]+\.[0-9]+$`)
)

type chapter struct {
	Chapter      string  `yaml:"chapter"`
	Requirements []entry `yaml:"requirements"`
}

// entry is a requirement that knows where it stands.
type entry struct {
	Requirement
	place place
}

// place is where a requirement stands in its file.
type place struct {
	file string
	line int
	keys map[string]int // their lines
}

// errorf reports that a key of a requirement has a value in place of what is
// wanted.
func (p place) errorf(id ReqID, key string, value any, want string) error {
	line := p.line
	if at, ok := p.keys[key]; ok {
		line = at
	}
	return fmt.Errorf("%s:%d: requirement %s: %s is %q, want %s", p.file, line, id, key, value, want)
}

// UnmarshalYAML implements [yaml.NodeUnmarshaler].
func (e *entry) UnmarshalYAML(node ast.Node) error {
	e.place = place{line: node.GetToken().Position.Line, keys: map[string]int{}}
	if mapping, ok := node.(ast.MapNode); ok {
		for pairs, first := mapping.MapRange(), true; pairs.Next(); first = false {
			line := pairs.Key().GetToken().Position.Line
			e.place.keys[pairs.Key().String()] = line
			if first {
				e.place.line = line
			}
		}
	}
	return yaml.NodeToValue(node, &e.Requirement, yaml.Strict())
}

// parseRequirements reads the list of requirements; name is for errors, each
// of which names line, key, value and what is wanted.
func parseRequirements(name string, data []byte) ([]Requirement, map[ReqID]place, error) {
	var chapters []chapter
	if err := yaml.UnmarshalWithOptions(data, &chapters, yaml.Strict()); err != nil {
		return nil, nil, located(name, err)
	}
	var list []Requirement
	var errs []error
	places := map[ReqID]place{}
	titles := map[string]bool{}
	for i, c := range chapters {
		if c.Chapter == "" || titles[c.Chapter] {
			errs = append(errs, fmt.Errorf("%s: chapter %d: chapter is %q, want a title of its own", name, i+1, c.Chapter))
		}
		titles[c.Chapter] = true
		if len(c.Requirements) == 0 {
			errs = append(errs, fmt.Errorf("%s: chapter %q: requirements is empty, want at least one", name, c.Chapter))
		}
		for _, e := range c.Requirements {
			e.place.file = name
			errs = append(errs, e.validate())
			if first, ok := places[e.ID]; ok {
				errs = append(errs, e.place.errorf(e.ID, "id", e.ID, fmt.Sprintf("each id once, and it stands in line %d", first.line)))
			} else {
				places[e.ID] = e.place
			}
			e.Chapter = c.Chapter
			list = append(list, e.Requirement)
		}
	}
	if len(chapters) == 0 {
		errs = append(errs, fmt.Errorf("%s: it is empty, %s", name, fileForm))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	return list, places, nil
}

func (e entry) validate() error {
	var errs []error
	want := func(ok bool, key string, value any, want string) {
		if !ok {
			errs = append(errs, e.place.errorf(e.ID, key, value, want))
		}
	}
	want(reqForm.MatchString(string(e.ID)), "id", e.ID, "capital letters, a dash and two digits, such as RST-01")
	want(e.Chapter == "", "chapter", e.Chapter, "nothing, because the chapter stands above its requirements")
	want(e.Level == Must || e.Level == Should || e.Level == Fact, "level", e.Level, "MUST, SHOULD or FACT")
	want(len(e.Profiles) > 0, "profiles", e.Profiles, "at least one of ephemeral, persistent and driver")
	seen := map[Profile]bool{}
	for _, p := range e.Profiles {
		want(p.known(), "profiles", p, "ephemeral, persistent or driver")
		want(!seen[p], "profiles", p, "each profile once")
		seen[p] = true
	}
	want(sentenceForm.MatchString(e.Text) && !sentenceEnd.MatchString(e.Text), "text", e.Text, "one sentence, on one line, with a capital letter and a full stop")
	want(e.Source != "" && isOneLine(e.Source), "source", e.Source, "the name of a document, on one line")
	want(e.Versions == "" || versionsForm.MatchString(e.Versions), "versions", e.Versions, "a comparison with a version of memcached, such as >= 1.6.9")
	want(isOneLine(e.Uncovered), "uncovered", e.Uncovered, "one line")
	for _, p := range slices.Sorted(maps.Keys(e.Unexamined)) {
		why := e.Unexamined[p]
		want(seen[p], "unexamined", p, "one of the profiles of the requirement")
		want(why != "" && isOneLine(why), "unexamined", why, "a reason for "+string(p)+", on one line")
		want(e.Uncovered == "", "unexamined", why, "nothing, because uncovered is about all modes")
	}
	return errors.Join(errs...)
}

func isOneLine(text string) bool { return text == strings.Join(strings.Fields(text), " ") }

// located puts file and line before what the decoder has to say.
func located(name string, err error) error {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return fmt.Errorf("%s: %w; %s", name, err, fileForm)
	}
	token := e.GetToken()
	message, _, _ := strings.Cut(e.GetMessage(), "\n")
	return fmt.Errorf("%s:%d: at %q: %s; %s", name, token.Position.Line, strings.TrimSpace(token.Value), message, fileForm)
}
