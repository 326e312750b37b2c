package dnsname

import (
	"strings"
)

// Match says which names a [Domain] contains.
type Match uint8

// The forms of a domain in dnsmasq's --server, --address and their like.
const (
	// MatchAll is every name: "#", "*", or no list of domains.
	MatchAll Match = iota
	// MatchSuffix is "x.y": the name and everything below it.
	MatchSuffix
	// MatchBelow is "*.x.y": everything below the name, not the name itself.
	MatchBelow
	// MatchText is "*text": names whose presentation form ends with the text, which may
	// begin within a label.
	MatchText
	// MatchUnqualified is the empty name in "//": names of one label, but not the root.
	MatchUnqualified
)

// Domain is a set of names: one element of dnsmasq's /list/of/domains/. It is comparable.
type Domain struct {
	Match Match
	// Name is set for MatchSuffix and MatchBelow.
	Name Name
	// Text is set for MatchText: lower case, without a trailing dot.
	Text string
}

// String returns the domain in the form of dnsmasq's options.
func (d Domain) String() string {
	switch d.Match {
	case MatchSuffix:
		return strings.TrimSuffix(d.Name.String(), ".")
	case MatchBelow:
		return "*." + strings.TrimSuffix(d.Name.String(), ".")
	case MatchText:
		return "*" + d.Text
	case MatchUnqualified:
		return ""
	default:
		return "#"
	}
}

// AppendDotted appends the labels of a valid uncompressed wire name with dots between them and
// without escapes, the form in which the Text of a [Domain] is compared. The root adds nothing.
func AppendDotted(dst, name []byte) []byte {
	for off := 0; off < len(name) && name[off] != 0; off += int(name[off]) + 1 {
		if off > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, name[off+1:off+1+int(name[off])]...)
	}
	return dst
}
