// Package oneline makes one line of a text that may have several.
package oneline

import "strings"

// Of is all of text: its lines that are not empty, separated by " | ", and in
// them a single space between words.
func Of(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		// A carriage return alone ends a line as well.
		for part := range strings.SplitSeq(line, "\r") {
			if words := strings.Fields(part); len(words) > 0 {
				lines = append(lines, strings.Join(words, " "))
			}
		}
	}
	return strings.Join(lines, " | ")
}

// First is the first line of text that is not empty, without the white space
// around it.
func First(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// Words is all of text with a single space between words, for text whose line
// ends mean nothing.
func Words(text string) string { return strings.Join(strings.Fields(text), " ") }
