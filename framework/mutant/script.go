package mutant

import (
	"regexp"
	"strings"
)

// structure matches lines of a script that hold its blocks together, begin or end functions, or are the
// patterns of a case.
var structure = regexp.MustCompile(`^(#.*|if .*|elif .*|else|fi|case .*|esac|while .*|until .*|done.*|do|[a-z_]+\(\) .*|\}|.*;;|)$`)

// swaps are exchanged where they are found in a line of a script, each by itself.
var swaps = []struct{ was, is string }{
	{"-USR1", "-TERM"}, {"-lt", "-gt"}, {"-ne", "-eq"}, {"-gt", "-lt"}, {"-le", "-gt"}, {"-eq", "-ne"},
	{"1048576", "1048577"}, {"/ 1024", "/ 1000"}, {"* 1024", "* 1000"}, {"fixed=1024", "fixed=0"}, {"fixed=4096", "fixed=0"},
	{"umask 077", "umask 777"}, {"fallocate --length", "truncate --size"}, {"slab_automove=0", "slab_automove=1"},
	{"INT TERM", "INT"}, {"%a %S %b %T", "%f %S %b %T"}, {"--memory-limit=\"$limit\"", "--memory-limit=64"},
	{"--memory-file=\"$file\"", "--memory-file=\"$file-2\""}, {"! -s", "-s"}, {"sleep 1", "sleep 15"}, {"exit \"$status\"", "exit 0"},
}

// scriptEdits replace each command that has a line of its own by one that does nothing, and exchange words.
func scriptEdits(text string) []Edit {
	lines := strings.Split(text, "\n")
	with := func(i int, line string) string {
		changed := append([]string{}, lines...)
		changed[i] = line
		return strings.Join(changed, "\n")
	}
	var edits []Edit
	document := false // inside of a here-document
	for i, line := range lines {
		indent, command := cut(line)
		command, _, _ = strings.Cut(command, " # ")
		switch {
		case document:
			document = command != "END"
			continue
		case strings.HasPrefix(command, "#"):
			continue
		case strings.HasSuffix(command, "<<-END"):
			document = true
		case !structure.MatchString(command):
			edits = append(edits, Edit{Name: "drop " + inName.Replace(command), Was: command, text: with(i, indent+":")})
		}
		for _, s := range swaps {
			if !hasWord(command, s.was) {
				continue
			}
			changed := strings.Replace(command, s.was, s.is, 1)
			edits = append(edits, Edit{Name: "swap " + s.was + " " + s.is + " in " + inName.Replace(command), Was: command, Is: changed, text: with(i, indent+changed)})
		}
	}
	return edits
}

// inName keeps apart in names what differs by signs only.
var inName = strings.NewReplacer(`"$@"`, "args", "$!", "last")

func cut(line string) (indent, command string) {
	command = strings.TrimLeft(line, "\t")
	return line[:len(line)-len(command)], strings.TrimRight(command, " ")
}

// hasWord reports whether text has a word that no letter or digit follows.
func hasWord(text, word string) bool {
	_, after, found := strings.Cut(text, word)
	return found && (after == "" || !regexp.MustCompile(`^[A-Za-z0-9_]`).MatchString(after))
}
