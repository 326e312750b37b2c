package dnsconfig

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// knownKeys are all keys that have an effect.
func knownKeys() []string {
	return []string{KeyFederations, KeyStubDomains, KeyUpstreamNameservers, KeyAutopath, KeyAutopathSearches}
}

// UnknownKeys returns a warning for each key of data that has no effect, sorted by
// key. If the key looks like a misspelling, the warning names the correct key.
func UnknownKeys(data map[string]string) []string {
	var warnings []string
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if slices.Contains(knownKeys(), key) {
			continue
		}
		warning := fmt.Sprintf("unknown key %q has no effect", key)
		if known := nearestKey(key); known != "" {
			warning += fmt.Sprintf("; did you mean %q?", known)
		}
		warnings = append(warnings, warning)
	}
	return warnings
}

// nearestKey returns the known key of which key is probably a misspelling, or "".
func nearestKey(key string) string {
	// Usual differences are case, separators and a suffix such as ".json".
	plain := func(text string) string {
		text, _, _ = strings.Cut(strings.ToLower(text), ".")
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(text)
	}
	best, bestDistance := "", 4
	for _, known := range knownKeys() {
		if d := distance(plain(key), plain(known)); d < bestDistance && d < len(key)/2+1 {
			best, bestDistance = known, d
		}
	}
	return best
}

// distance returns the Levenshtein distance of two texts, in octets. It cuts long
// texts, which are not misspellings of a key.
func distance(a, b string) int {
	const longest = 64
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

var trailingComma = regexp.MustCompile(`,\s*[\]}]`)

// jsonHint recognises common reasons why text is not valid JSON and says how to fix
// it. It returns "" if it recognises none.
func jsonHint(text string) string {
	switch {
	case strings.HasPrefix(text, "\ufeff"):
		return " (it begins with a byte order mark; remove it)"
	case strings.TrimSpace(text) == "":
		return " (the value is empty)"
	case strings.ContainsAny(text, "\u201c\u201d\u2018\u2019\u00ab\u00bb"):
		return " (it has typographic quotation marks; use \")"
	case strings.Contains(text, "'") && !strings.Contains(text, `"`):
		return " (it has single quotation marks; use \")"
	case trailingComma.MatchString(text):
		return " (it has a comma before a closing bracket; remove the comma)"
	}
	return ""
}
