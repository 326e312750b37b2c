// Package resolvconf splits a resolv.conf(5) file into its lines.
//
// Use [Lines]. What a line means differs between programs: dnsmasq, kube-dns and libc
// each read the file in a way of their own.
package resolvconf

import (
	"bytes"
	"iter"
	"strings"
)

// Lines yields the words of each line that has any, with the line itself without leading
// and trailing white space. Comments are words as well: no keyword begins with # or ;.
// A byte order mark, which some editors add, is not part of the first line.
func Lines(text []byte) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) {
			line := strings.TrimSpace(string(line))
			if words := strings.Fields(line); len(words) > 0 && !yield(words, line) {
				return
			}
		}
	}
}
