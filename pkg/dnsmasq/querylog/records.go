package querylog

import (
	"net/netip"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Record is one record of an answer, as far as the table of the cache shows it.
type Record struct {
	Owner  []byte     // the owner name in wire form
	Type   uint16     // of the record
	Addr   netip.Addr // of A and AAAA records
	Target []byte     // of CNAME and PTR records, in wire form
}

// Answer returns the records of the answer section of a message.
func Answer(msg []byte) []Record {
	var list []Record
	for rec := range records(msg) {
		out := Record{Owner: rec.owner, Type: rec.typ}
		switch rec.typ {
		case wire.TypeA, wire.TypeAAAA:
			out.Addr, _ = netip.AddrFromSlice(rec.data)
		case wire.TypeCNAME, wire.TypePTR:
			out.Target, _ = rec.name()
		}
		list = append(list, out)
	}
	return list
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
