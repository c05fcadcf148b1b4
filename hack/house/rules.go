package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// parseRooms returns the paths of a list of rooms in their order.
func parseRooms(text string) []string {
	var rooms []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			rooms = append(rooms, line)
		}
	}
	return rooms
}

// roomOf is the index of the room of a package; -1: it has none.
func roomOf(rooms []string, pkg string) int {
	best, length := -1, -1
	for i, room := range rooms {
		alone, exact := strings.CutSuffix(room, "/.")
		if exact && pkg == alone || !exact && within(pkg, room) {
			if len(room) > length {
				best, length = i, len(room)
			}
		}
	}
	return best
}

func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// bans are imports that a part of the module must do without.
var bans = []struct {
	within  []string
	except  []string
	imports string
	why     string
}{
	{within: []string{"framework/spec", "framework/wait", "framework/report"}, imports: "k8s.io/client-go", why: "it is about data, not about a cluster"},
	{within: []string{"framework"}, except: []string{"framework/."}, imports: "github.com/onsi/ginkgo", why: "only the package framework wires specs into Ginkgo"},
	{within: []string{"framework"}, except: []string{"framework/cmd"}, imports: module + "e2e", why: "only the program knows the specs"},
}

// nameless are package names that do not say a purpose.
var nameless = []string{"util", "utils", "common", "helpers", "misc"}

// defects of packages, each in one line.
func defects(rooms []string, packages []pkg) []string {
	var found []string
	bad := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, p := range packages {
		from := roomOf(rooms, p.path)
		if from < 0 {
			bad("%s has no room; name one in rooms.txt", p.path)
			continue
		}
		if p.purpose == "" && p.code > 0 {
			bad("%s has no package comment that says its purpose", p.path)
		}
		if slices.Contains(nameless, path.Base(p.path)) {
			bad("%s: the name says no purpose", p.path)
		}
		for _, imported := range p.imports {
			if to := roomOf(rooms, imported); to >= 0 && to < from {
				bad("%s imports %s, which goes upward", p.path, imported)
			}
		}
		for _, f := range p.files {
			limit := codeLimit
			if f.test {
				limit = testLimit
			}
			if f.lines > limit {
				bad("%s/%s has %d lines, the limit is %d", p.path, f.name, f.lines, limit)
			}
		}
		found = append(found, banned(p)...)
	}
	return found
}

func banned(p pkg) []string {
	var found []string
	for _, ban := range bans {
		if roomOf(ban.within, p.path) < 0 || roomOf(ban.except, p.path) >= 0 {
			continue
		}
		for _, imported := range slices.Concat(p.foreign, prefixed(p.imports)) {
			if within(imported, ban.imports) {
				found = append(found, fmt.Sprintf("%s imports %s: %s", p.path, imported, ban.why))
			}
		}
	}
	return found
}

func prefixed(own []string) []string {
	var all []string
	for _, p := range own {
		all = append(all, module+p)
	}
	return all
}
