package dnsname

import (
	"bytes"
	"strings"
)

// Match says which names a [Domain] stands for.
type Match uint8

// The forms of a domain in dnsmasq's --server, --address and their like.
const (
	// MatchAll is every name: "#", "*", or no list of domains.
	MatchAll Match = iota
	// MatchSuffix is "x.y": the name and everything below it.
	MatchSuffix
	// MatchBelow is "*.x.y": everything below the name, not the name itself.
	MatchBelow
	// MatchText is "*text": names whose presentation form ends with the text,
	// whatever label it cuts through.
	MatchText
	// MatchUnqualified is the empty name of "//": names of one label. The root
	// is not one.
	MatchUnqualified
)

// Domain is a set of names, a member of dnsmasq's /list/of/domains/. It is
// comparable.
type Domain struct {
	Match Match
	// Name is set for MatchSuffix and MatchBelow.
	Name Name
	// Text is set for MatchText: lower case, without a trailing dot.
	Text string
}

// String returns the domain as it stands in an option.
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

// Contains reports whether name, a valid uncompressed wire name in any case, is
// one of the domain's.
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

// endsIn reports whether the presentation form of a canonical wire name ends
// in text. Dots in text stand for ends of labels; characters that are escaped in
// presentation form are compared as they are.
func endsIn(name []byte, text string) bool {
	var buf [MaxName]byte
	out := buf[:0]
	for off := 0; off < len(name) && name[off] != 0; off += int(name[off]) + 1 {
		if off > 0 {
			out = append(out, '.')
		}
		out = append(out, name[off+1:off+1+int(name[off])]...)
	}
	return len(out) >= len(text) && bytes.Equal(out[len(out)-len(text):], []byte(text))
}
