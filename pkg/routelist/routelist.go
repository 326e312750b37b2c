// Package routelist defines how kubedns tells dnscache which upstream servers it
// asks for which names, so that dnscache can drop entries from servers that would no
// longer be asked.
//
// In kubedns, use [New] to make a [List], put its [List.Option] into replies about
// names outside the cluster domain, and answer [Question] in class CH with its
// [List.Texts]. In a cache, ask that question when the option changes, read the
// texts with [Parse], and compare two lists name by name with [List.Match]. A list
// holds domains and hashes of their servers, not the servers themselves.
package routelist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Question is the name, in wire form, whose TXT record in class CH is the list.
const Question = "\x06routes\x08kube-dns\x00"

// OptionCode is the code of the EDNS option that carries the generation of the list
// in effect when a reply was made. It is in the range for local use (RFC 6891 §9).
const OptionCode = 65487

const (
	optionLen = 4 + 8
	// maxEntries is the largest number of domains in a list; a list that leaves
	// domains out is partial.
	maxEntries = 1024
	// maxText is the longest character-string (RFC 1035 §3.3).
	maxText = 255
	version = "v1"
)

// List says which servers are asked for which names. It never changes.
type List struct {
	// Generation is a hash of the whole list. Equal lists have equal generations,
	// even after a restart.
	Generation uint64
	// Partial is true if the list does not hold all domains. All names except those
	// in domains with the hash Own then count as changed in every generation.
	Partial bool
	domains map[dnsname.Name]uint64
}

// Hash returns the hash of a set of servers. Order and duplicates do not matter.
func Hash(servers []string) uint64 {
	servers = slices.Clone(servers)
	slices.Sort(servers)
	h := fnv.New64a()
	for _, s := range slices.Compact(servers) {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// New returns the list of domains, which map names in canonical form to the hashes
// of their servers. The root stands for all other names. The caller keeps domains.
func New(domains map[dnsname.Name]uint64) *List {
	l := &List{domains: map[dnsname.Name]uint64{}}
	h := fnv.New64a()
	names := slices.SortedFunc(maps.Keys(domains), func(a, b dnsname.Name) int {
		if own := domains[a] == Own; own != (domains[b] == Own) { // these come first because they must not be left out
			return map[bool]int{true: -1, false: 1}[own]
		}
		return strings.Compare(string(a), string(b))
	})
	for _, name := range names {
		hash := domains[name]
		h.Write([]byte(name))
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, hash)) // never fails
		if len(l.domains) >= maxEntries || len(entryText(name, hash)) > maxText {
			l.Partial = true
			continue
		}
		l.domains[name] = hash
	}
	l.Generation = h.Sum64()
	return l
}

// Own is the hash of a domain whose names the server answers itself.
const Own uint64 = 1

// Match returns the hash of the servers that are asked for a name in canonical form,
// which is the hash of the longest domain that the name is in. If it differs between
// two lists, so do the servers.
func (l *List) Match(name []byte) uint64 {
	hash, ok := l.domains[dnsname.Name(name)]
	for rest := name; !ok && len(rest) > 1; {
		rest = rest[1+int(rest[0]):]
		hash, ok = l.domains[dnsname.Name(rest)]
	}
	if l.Partial && hash != Own {
		return l.Generation
	}
	return hash
}

// Below reports whether the list holds a domain below name, which is in canonical
// form. A partial list may, so the result is true.
func (l *List) Below(name []byte) bool {
	for domain := range l.domains {
		if at, below := dnsname.CutZone([]byte(domain), dnsname.Name(name)); below && at > 0 {
			return true
		}
	}
	return l.Partial
}

// Option returns the EDNS option in wire form. The caller owns the result.
func (l *List) Option() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, optionLen), OptionCode)
	b = binary.BigEndian.AppendUint16(b, 8)
	return binary.BigEndian.AppendUint64(b, l.Generation)
}

// ParseOption returns the generation in the data of an option with OptionCode.
func ParseOption(data []byte) (generation uint64, ok bool) {
	if len(data) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(data), true
}

func entryText(name dnsname.Name, hash uint64) string {
	return fmt.Sprintf("%s %016x", name.String(), hash)
}

// Texts returns the character-strings of the TXT record. The first holds the
// version, the generation and, if the list is partial, "partial"; each of the others
// a domain and its hash.
func (l *List) Texts() []string {
	head := fmt.Sprintf("%s %016x", version, l.Generation)
	if l.Partial {
		head += " partial"
	}
	texts := []string{head}
	for _, name := range slices.Sorted(maps.Keys(l.domains)) {
		texts = append(texts, entryText(name, l.domains[name]))
	}
	return texts
}

// errUnreadable means that a record does not hold a list of a known version.
var errUnreadable = errors.New("not a list of routes")

// Parse reads the RDATA of a TXT record with the character-strings of Texts. The
// list does not refer to rdata.
func Parse(rdata []byte) (*List, error) {
	head, rdata, ok := nextText(rdata)
	fields := strings.Fields(head)
	if !ok || len(fields) < 2 || len(fields) > 3 || fields[0] != version {
		return nil, errUnreadable
	}
	l := &List{domains: map[dnsname.Name]uint64{}, Partial: len(fields) == 3}
	var err error
	if l.Generation, err = strconv.ParseUint(fields[1], 16, 64); err != nil {
		return nil, errUnreadable
	}
	for len(rdata) > 0 {
		var text string
		if text, rdata, ok = nextText(rdata); !ok || len(l.domains) >= maxEntries {
			return nil, errUnreadable
		}
		i := strings.LastIndexByte(text, ' ')
		if i < 0 {
			return nil, errUnreadable
		}
		name, err := dnsname.Parse(text[:i])
		if err != nil {
			return nil, errUnreadable
		}
		hash, err := strconv.ParseUint(text[i+1:], 16, 64)
		if err != nil {
			return nil, errUnreadable
		}
		l.domains[name] = hash
	}
	return l, nil
}

// nextText returns the first character-string of rdata and the octets after it.
func nextText(rdata []byte) (text string, rest []byte, ok bool) {
	if len(rdata) == 0 || 1+int(rdata[0]) > len(rdata) {
		return "", nil, false
	}
	end := 1 + int(rdata[0])
	return string(rdata[1:end]), rdata[end:], true
}
