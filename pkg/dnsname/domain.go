package dnsname

import (
	"bytes"
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

// Contains reports whether the domain contains name, a valid uncompressed wire name in any case.
func (d Domain) Contains(name []byte) bool {
	var buf [MaxName]byte
	name = AppendLower(buf[:0], name)
	switch d.Match {
	case MatchSuffix:
		_, inside := CutZone(name, d.Name)
		return inside
	case MatchBelow:
		at, inside := CutZone(name, d.Name)
		return inside && at > 0
	case MatchText:
		return endsIn(name, d.Text)
	case MatchUnqualified:
		return len(name) > 1 && int(name[0])+2 == len(name)
	}
	return true
}

// endsIn reports whether the presentation form of a canonical wire name ends in text. Dots in text
// are ends of labels; characters that presentation form would escape are compared without escapes.
func endsIn(name []byte, text string) bool {
	var buf [MaxName]byte
	out := AppendDotted(buf[:0], name)
	return len(out) >= len(text) && bytes.Equal(out[len(out)-len(text):], []byte(text))
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
