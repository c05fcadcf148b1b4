// Package nearest finds what a mistyped word was meant to be.
package nearest

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// To returns the word of words that is most like the one that was given, in
// any case of letters: the first of those that take the fewest changes of
// single letters. It is empty if there are no words.
func To(given string, words []string) string {
	best, fewest := "", -1
	for _, word := range words {
		changes := levenshtein.ComputeDistance(strings.ToLower(given), strings.ToLower(word))
		if fewest < 0 || changes < fewest {
			best, fewest = word, changes
		}
	}
	return best
}
