package filter

import (
	"slices"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// removed reports whether to remove a record from the answer to a question of type qtype.
func (fl *filter) removed(qtype uint16, rec *wire.Record) bool {
	if rec.Section != wire.Answer {
		return false
	}
	if qtype == wire.TypeANY && fl.onlyCommon {
		switch rec.Type {
		case wire.TypeA, wire.TypeAAAA, wire.TypeMX, wire.TypeCNAME:
		default:
			return true
		}
	}
	return slices.Contains(fl.types, rec.Type)
}

// removeTypes rebuilds the cached answer at msg[base:], which has no OPT,
// without the types that are filtered.
func (fl *filter) removeTypes(q *forwarder.Query, msg []byte, base int) ([]byte, wire.ExtendedError) {
	var r wire.Reply
	if !wire.ParseReply(msg[base:], &r) || !fl.touches(q.Msg.Type, &r) {
		return msg, wire.ExtendedError{}
	}
	bare := *q.Msg
	bare.EDNS = wire.EDNS{}
	out := fl.rebuild(nil, &bare, &r)
	return append(msg[:base], out...), wire.Extended(wire.EDEFiltered, "")
}

// touches reports whether r has a record that must be removed.
func (fl *filter) touches(qtype uint16, r *wire.Reply) bool {
	var rec wire.Record
	for it := r.Records(); it.Next(&rec); {
		if fl.removed(qtype, &rec) {
			return true
		}
	}
	return false
}

// rebuild appends r without the records that must be removed.
func (fl *filter) rebuild(dst []byte, q *wire.Query, r *wire.Reply) []byte {
	var (
		b   wire.Builder
		rec wire.Record
	)
	base := len(dst)
	b.Start(dst, q, wire.MaxMessage)
	b.SetRcode(r.Rcode)
	b.SetAA(r.Flags&wire.FlagAA != 0)
	for it := r.Records(); it.Next(&rec); {
		if !fl.removed(q.Type, &rec) {
			b.Open(rec.Section)
			b.Copy(r.Msg, &rec, rec.TTL)
		}
	}
	out := b.Finish(wire.OPT{})
	wire.SetFlags(out[base:], wire.Flags(out[base:])|r.Flags&(wire.FlagTC|wire.FlagAD))
	return out
}
