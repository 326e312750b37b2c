package querylog

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Record is a record in an answer section. Its data may be anything (--dns-rr).
type Record struct {
	Owner []byte // the owner name in wire form
	Type  uint16
	data  []byte
	msg   []byte // the whole message
	at    int    // where data begins in it
}

// Name returns the name in wire form that the data consists of or begins with.
func (r *Record) Name() (name []byte, ok bool) {
	name, end, ok := wire.AppendName(nil, r.msg, r.at)
	return name, ok && end <= r.at+len(r.data)
}

// Addr returns the address in an A or AAAA record.
func (r *Record) Addr() (netip.Addr, bool) {
	if r.Type == wire.TypeA && len(r.data) == 4 || r.Type == wire.TypeAAAA && len(r.data) == 16 {
		return netip.AddrFromSlice(r.data)
	}
	return netip.Addr{}, false
}

// Records yields the records of the answer section of msg, up to the first that is unreadable.
func Records(msg []byte) iter.Seq[Record] {
	const header, question, fixed = 12, 4, 10
	return func(yield func(Record) bool) {
		if len(msg) < header {
			return
		}
		at := header
		for range wire.Count(msg, wire.Question) {
			end, ok := wire.NameEnd(msg, at)
			if at = end + question; !ok {
				return
			}
		}
		for range wire.Count(msg, wire.Answer) {
			owner, end, ok := wire.AppendName(nil, msg, min(at, len(msg)))
			if !ok || len(msg) < end+fixed {
				return
			}
			size := int(binary.BigEndian.Uint16(msg[end+8:]))
			at = end + fixed + size
			if len(msg) < at {
				return
			}
			if !yield(Record{owner, binary.BigEndian.Uint16(msg[end:]), msg[end+fixed : at], msg, end + fixed}) {
				return
			}
		}
	}
}

// RecordName is NameText for a name in a record. Names with characters that are escaped in a
// zone file are not shown.
func RecordName(name []byte) string {
	text := NameText(name)
	if strings.ContainsAny(text, "'@;()\"\\") {
		return unprintable
	}
	return text
}
