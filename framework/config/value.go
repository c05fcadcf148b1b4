package config

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pmem-memcached-e2e/framework/wait"
)

// value takes over what was given, and writes it as it would be given.
type value struct {
	set func(c *Config, b base, text string) error // the error says what was expected
	get func(c Config) string
	// files is set where the value is one or more paths, bare where the flag
	// needs no value.
	files, bare bool
	schema      jsonSchema // of the value in a CONFIG file
}

// base is what relative paths start at.
type base struct {
	dir  string // absolute
	home string // that of ~; empty: unknown
}

// absolute leaves an empty path empty: nothing is given.
func (b base) absolute(path string) (string, error) {
	switch {
	case path == "":
		return "", nil
	case path == "~", strings.HasPrefix(path, "~/"):
		if b.home == "" {
			return "", errors.New("there is no home directory, because HOME is not set; give an absolute path")
		}
		return filepath.Join(b.home, path[1:]), nil
	case path[0] == '~':
		return "", errors.New("only ~ and ~/ are known, for the home directory of the user; give an absolute path, or ./" + path)
	case filepath.IsAbs(path):
		return filepath.Clean(path), nil
	}
	return filepath.Join(b.dir, path), nil
}

func text(to func(*Config) *string) value {
	return value{
		schema: scalarSchema,
		set:    func(c *Config, _ base, v string) error { *to(c) = v; return nil },
		get:    func(c Config) string { return *to(&c) },
	}
}

func oneOf(to func(*Config) *string, words ...string) value {
	v := text(to)
	v.schema = jsonSchema{"enum": words}
	v.set = func(c *Config, _ base, v string) error {
		if !slices.Contains(words, v) {
			return errors.New("give " + enumerate(words))
		}
		*to(c) = v
		return nil
	}
	return v
}

// enumerate joins words by commas and "or".
func enumerate(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func path(to func(*Config) *string) value {
	v := text(to)
	v.files = true
	v.set = func(c *Config, b base, v string) (err error) {
		*to(c), err = b.absolute(v)
		return err
	}
	return v
}

// directory is for those that a run needs.
func directory(to func(*Config) *string) value {
	v := path(to)
	v.schema = jsonSchema{"type": "string", "minLength": 1}
	set := v.set
	v.set = func(c *Config, b base, v string) error {
		if v == "" {
			return errors.New("give a directory")
		}
		return set(c, b, v)
	}
	return v
}

// paths is a list as PATH is one. Empty parts are left out.
func paths(to func(*Config) *string) value {
	v := text(to)
	v.files = true
	v.set = func(c *Config, b base, v string) error {
		var list []string
		for _, path := range filepath.SplitList(v) {
			path, err := b.absolute(path)
			if err != nil {
				return err
			}
			if path != "" {
				list = append(list, path)
			}
		}
		*to(c) = strings.Join(list, string(filepath.ListSeparator))
		return nil
	}
	return v
}

func list(to func(*Config) *[]string) value {
	return value{
		schema: scalarSchema,
		set: func(c *Config, _ base, v string) error {
			*to(c) = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
			return nil
		},
		get: func(c Config) string { return strings.Join(*to(&c), ",") },
	}
}

func yesOrNo(to func(*Config) *bool) value {
	return value{
		bare:   true,
		schema: boolSchema,
		set: func(c *Config, _ base, v string) (err error) {
			*to(c), err = parseBool(v)
			return err
		},
		get: func(c Config) string { return digit(*to(&c)) },
	}
}

// optional is for settings whose default depends on the cluster.
func optional(to func(*Config) **bool) value {
	return value{
		bare:   true,
		schema: boolSchema,
		set: func(c *Config, _ base, v string) error {
			yes, err := parseBool(v)
			if err == nil {
				*to(c) = &yes
			}
			return err
		},
		get: func(c Config) string {
			if yes := *to(&c); yes != nil {
				return digit(*yes)
			}
			return ""
		},
	}
}

func parseBool(v string) (bool, error) {
	yes, err := strconv.ParseBool(v)
	if err != nil {
		return false, errors.New("give 1 or 0")
	}
	return yes, nil
}

func digit(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

type bounds struct{ least, most, step int }

func (b bounds) String() string {
	if b.step > 1 {
		return fmt.Sprintf("a multiple of %d from %d to %d", b.step, b.least, b.most)
	}
	return fmt.Sprintf("a whole number from %d to %d", b.least, b.most)
}

func number(to func(*Config) *int, b bounds) value {
	return value{
		schema: integerSchema(b.least, b.most, b.step),
		set: func(c *Config, _ base, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < b.least || n > b.most || n%b.step != 0 {
				return fmt.Errorf("give %s", b)
			}
			*to(c) = n
			return nil
		},
		get: func(c Config) string { return strconv.Itoa(*to(&c)) },
	}
}

func seed() value {
	return value{
		schema: integerSchema(1, math.MaxInt64, 1),
		set: func(c *Config, _ base, v string) error {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n <= 0 {
				return errors.New("give a positive whole number")
			}
			c.Select.Seed = n
			return nil
		},
		get: func(c Config) string { return strconv.FormatInt(c.Select.Seed, 10) },
	}
}

func focus() value {
	v := text(func(c *Config) *string { return &c.Select.Focus })
	v.set = func(c *Config, _ base, v string) error {
		if _, err := regexp.Compile(v); err != nil {
			return fmt.Errorf("%w; give a regular expression, such as RST-01", err)
		}
		c.Select.Focus = v
		return nil
	}
	return v
}

func waitScale() value {
	return value{
		schema: jsonSchema{"type": []string{"number", "string"}, "minimum": wait.MinScale, "maximum": wait.MaxScale},
		set: func(c *Config, _ base, v string) (err error) {
			c.WaitScale, err = wait.ParseScale(v)
			return err
		},
		get: func(c Config) string { return c.WaitScale.String() },
	}
}

func duration() value {
	return value{
		schema: jsonSchema{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`},
		set: func(c *Config, _ base, v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < time.Second || d > 10*time.Minute {
				return errors.New("give a duration from 1s to 10m, such as 5s")
			}
			c.Sampling.Duration = d
			return nil
		},
		get: func(c Config) string { return c.Sampling.Duration.String() },
	}
}
