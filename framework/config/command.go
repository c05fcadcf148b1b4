package config

import (
	"path/filepath"
	"strings"
)

// Command is the command that repeats the run, or with a focus runs the specs
// focused on in the same way. It has every setting that is not the default,
// wherever it came from, except for where the report goes and what happens to
// the lab afterwards. It is make's, or where there is no checkout that of the
// program.
func (c Config) Command(focus string) string {
	if focus != "" {
		c.Select = Select{Focus: focus}
		c.Qualification = false // which allows no focus
		if !c.Bench {
			c.Baseline = "" // which needs one of the two
		}
	}
	words, word := []string{"make", "e2e"}, func(s Setting, v string) string { return s.Variable + "=" + quoteForMake(v) }
	if c.Bench {
		words[1] = "bench"
	}
	std := Default(c.Dir)
	if c.Program != "" {
		std.Deploy = Default(filepath.Dir(c.Program)).Deploy
		program := c.relative(c.Program)
		if !filepath.IsAbs(program) && !strings.HasPrefix(program, ".") {
			program = "./" + program
		}
		words, word = []string{quote(program), "run"}, func(s Setting, v string) string { return "--" + s.Flag + "=" + quote(v) }
		if c.Bench {
			words = append(words, "--bench")
		}
	}
	for _, s := range settings {
		v := s.value.get(c)
		if v == s.value.get(std) || !s.again(c) {
			continue
		}
		if s.value.files {
			v = c.relative(v)
		}
		words = append(words, word(s, v))
	}
	return strings.Join(words, " ")
}

// relative shortens the paths of a list that are below c.Dir.
func (c Config) relative(list string) string {
	paths := filepath.SplitList(list)
	for i, path := range paths {
		if rel, err := filepath.Rel(c.Dir, path); err == nil && filepath.IsLocal(rel) {
			paths[i] = rel
			if strings.HasPrefix(rel, "~") {
				paths[i] = "./" + rel
			}
		}
	}
	return strings.Join(paths, string(filepath.ListSeparator))
}

// plain are the characters that neither a shell nor make gives a meaning to.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-"

// quote makes value one word of a shell's command line.
func quote(value string) string {
	if strings.Trim(value, plain) == "" && value != "" {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// quoteForMake is quote for a word that make takes as the value of a variable.
func quoteForMake(value string) string {
	if value == "" {
		return ""
	}
	return quote(strings.ReplaceAll(value, "$", "$$"))
}
