package autopath

import (
	"encoding/binary"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// HintCode is the code of the EDNS option in which kubedns tells dnscache, with an NXDOMAIN
// answer, which names the client would ask for next. It is in the range for local use (RFC 6891
// §9), and servers that do not know the option ignore it.
//
// The data is a version, the length of x in octets, and suffixes as complete names in wire
// form. The names to try are x with each suffix, in this order.
const HintCode = 65488

// MaxSearches is the largest number of search entries besides those of the cluster.
// maxSuffixes is the resulting largest number of suffixes in a hint, which may also have the
// two of the cluster domain and the root.
const (
	MaxSearches = 8
	maxSuffixes = MaxSearches + 3
)

const (
	hintVersion  = 1
	hintHead     = 2 // octets: version, length of x
	optionHeader = 4 // octets: code, length
)

// AppendHint appends the option with a hint in wire form. x is the length of x in octets,
// without the root. Each suffix is a name in canonical wire form.
func AppendHint(dst []byte, x int, suffixes [][]byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, HintCode)
	dst = append(dst, 0, 0, hintVersion, byte(x))
	for _, suffix := range suffixes {
		dst = append(dst, suffix...)
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start-optionHeader))
	return dst
}

// Hint is the names to try in place of one that does not exist.
type Hint struct {
	x        int    // length of x in octets
	suffixes []byte // the suffixes that have not been tried
}

// ParseHint parses the data of an option with HintCode in the answer about name, which must be
// a canonical wire name. ok is false if the data is not a hint of this version about that name,
// or has more suffixes than kubedns would send. The Hint refers to data.
func ParseHint(data, name []byte) (h Hint, ok bool) {
	if len(data) <= hintHead || data[0] != hintVersion {
		return Hint{}, false
	}
	h = Hint{x: int(data[1]), suffixes: data[hintHead:]}
	at := 0 // x must end where a label does, before the root
	for at < h.x && at < len(name) && name[at] != 0 {
		at += 1 + int(name[at])
	}
	if at != h.x || at == 0 || at >= len(name) || name[at] == 0 {
		return Hint{}, false
	}
	n := 0
	for rest := h.suffixes; len(rest) > 0; n++ {
		end, valid := wire.NameEnd(rest, 0)
		if !valid || n == maxSuffixes || !dnsname.Valid(rest[:end]) {
			return Hint{}, false
		}
		rest = rest[end:]
	}
	return h, true
}

// Next appends the next name to try, in canonical wire form; ok is false after the last.
// Names that would be too long are left out. name is the one given to ParseHint.
func (h *Hint) Next(dst, name []byte) (candidate []byte, ok bool) {
	for len(h.suffixes) > 0 {
		end, _ := wire.NameEnd(h.suffixes, 0)
		suffix := h.suffixes[:end]
		h.suffixes = h.suffixes[end:]
		if h.x+len(suffix) > dnsname.MaxName {
			continue
		}
		return dnsname.AppendLower(append(dst, name[:h.x]...), suffix), true
	}
	return dst, false
}
