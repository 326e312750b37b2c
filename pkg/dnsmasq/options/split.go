package options

import (
	"hash/maphash"
	"strings"
)

// cut splits a value at the first separator and removes the spaces around it, as dnsmasq
// does for every separator of every option. cleanLine has replaced tabs in files by spaces.
// Spaces at the ends of the value are kept.
func cut(value string, separator byte) (before, after string, found bool) {
	i := strings.IndexByte(value, separator)
	if i < 0 {
		return value, "", false
	}
	return strings.TrimRight(value[:i], " "), strings.TrimLeft(value[i+1:], " "), true
}

// split splits a value at every separator, in the way of cut.
func split(value string, separator byte) []string {
	return splitN(value, separator, 1+strings.Count(value, string(separator)))
}

// splitN splits a value at the first separators into at most n items.
func splitN(value string, separator byte, n int) []string {
	list := make([]string, 0, n)
	for len(list) < n-1 {
		item, rest, found := cut(value, separator)
		list = append(list, item)
		if !found {
			return list
		}
		value = rest
	}
	return append(list, value)
}

// items splits a value at commas that are not quoted.
func items(value string) []string { return split(value, ',') }

// words splits a value at commas and omits empty items.
func words(value string) []string {
	var list []string
	for _, item := range items(value) {
		if item != "" {
			list = append(list, unhide(item))
		}
	}
	return list
}

// brackets returns an error if text is an IPv6 address in brackets, in an option without a
// port, for which brackets would be needed.
func brackets(text string) error {
	inner, opened := strings.CutPrefix(text, "[")
	inner, rest, closed := strings.Cut(inner, "]")
	if !opened || !closed || !strings.Contains(inner, ":") {
		return nil
	}
	if rest != "" {
		return bad("", "%q: write the IPv6 address without brackets and without a port: %s", text, inner)
	}
	return bad("", "%q: write the IPv6 address without brackets: %s", text, inner)
}

// typography returns a hint about characters that a word processor has inserted into an
// option, or "" if there are none.
func typography(text string) string {
	switch {
	case strings.HasPrefix(text, "\ufeff"):
		return "the file begins with a byte order mark (BOM); save it as UTF-8 without BOM"
	case strings.ContainsAny(text, "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"):
		return "the option has typographic quotation marks; write plain ones, or none"
	case strings.ContainsAny(text, "\u2010\u2011\u2012\u2013\u2014\u2212"):
		return "the option has a typographic dash; write a plain hyphen"
	case strings.ContainsAny(text, "\u00a0\u2009\u202f\u200b\ufeff"):
		return "the option has an invisible or non-breaking space; delete it"
	}
	return ""
}

// listKey identifies an item of a list, to find duplicates.
type listKey[T comparable] struct {
	list *[]T
	item T
}

// addNew appends the items that are not in the list yet. All items of such a list must be
// added by addNew.
func addNew[T comparable](p *parser, list *[]T, items ...T) {
	for _, item := range items {
		hash := maphash.Comparable(p.seed, listKey[T]{list, item})
		if at, ok := p.added[hash]; ok && at < len(*list) && (*list)[at] == item {
			continue
		}
		p.added[hash] = len(*list)
		*list = append(*list, item)
	}
}

// uniq collects items without duplicates. The zero value is ready to use.
type uniq[T comparable] struct {
	list []T
	have map[T]bool
}

// addItem appends an item unless it is in the list already.
func (u *uniq[T]) addItem(item T) {
	if u.have[item] {
		return
	}
	if u.have == nil {
		u.have = map[T]bool{}
	}
	u.have[item] = true
	u.list = append(u.list, item)
}
