// Command house prints the packages of this module as a table: purpose, lines
// and imports. It exits with 1 when an import goes upward against rooms.txt,
// when a package imports what its room must not, when a package has a name
// without a purpose, or when a file is too long.
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

//go:embed rooms.txt
var roomsFile string

// Longest files, in lines.
const (
	codeLimit = 400
	testLimit = 600
)

func main() {
	if err := house(os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "house: %v\n", err)
		os.Exit(1)
	}
}

func house(w io.Writer) error {
	packages, err := list()
	if err != nil {
		return err
	}
	if err := writeTable(w, packages); err != nil {
		return err
	}
	found := defects(parseRooms(roomsFile), packages)
	if len(found) == 0 {
		_, err = fmt.Fprintf(w, "\n%d packages, no import goes upward\n", len(packages))
		return err
	}
	return errors.New(strings.Join(found, "\nhouse: "))
}

func writeTable(w io.Writer, packages []pkg) error {
	var b strings.Builder
	b.WriteString("| package | purpose | lines | of tests | longest file | imports of this module |\n| --- | --- | ---: | ---: | ---: | --- |\n")
	var code, tests int
	for _, p := range packages {
		code, tests = code+p.code, tests+p.tests
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %s |\n", p.path, strings.ReplaceAll(p.purpose, "|", `\|`), p.code, p.tests, p.longest(), strings.Join(p.imports, ", "))
	}
	fmt.Fprintf(&b, "| all | | %d | %d | | |\n", code, tests)
	_, err := io.WriteString(w, b.String())
	return err
}
