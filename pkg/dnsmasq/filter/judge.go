package filter

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// ignore reports whether a reply has an address for which it must be ignored.
func (fl *filter) ignore(r *wire.Reply) bool {
	var rec wire.Record
	for it := r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if addr, ok := addressOf(r.Msg, &rec); ok && fl.ignored.contains(addr) {
			return true
		}
	}
	return false
}

// judge applies the filters to an upstream server's reply.
func (fl *filter) judge(r *forwarder.Reply) bool {
	q := r.Question
	if q.Class != wire.ClassIN {
		return false
	}
	if len(fl.Aliases) > 0 { // the addresses that clients get are those that count below
		fl.move(r)
	}
	rebind := fl.StopRebind && !fl.rebindable.contains(q.Name)
	var rec wire.Record
	for it := r.Msg.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		switch addr, ok := addressOf(r.Msg.Msg, &rec); {
		case ok && fl.bogus.contains(addr):
			// The lifetime is dnsmasq's; there is no SOA record that sets it.
			r.AbsentFor = rec.TTL
			r.Empty(wire.RcodeNXDomain)
			r.Reason = wire.Extended(wire.EDEBlocked, "")
			return true
		case rebind && fl.rebindingRecord(r.Msg.Msg, &rec):
			fl.rebinds.rebind(q.Name, r.Now())
			r.Empty(wire.RcodeSuccess)
			r.Reason = wire.Extended(wire.EDEBlocked, "private address")
			return true
		}
	}
	if len(fl.types) > 0 && fl.touches(q.Type, r.Msg) {
		r.Reason = wire.Extended(wire.EDEFiltered, "")
		// The cache stores the original reply, which needs its own memory.
		kept := new(wire.Reply)
		wire.ParseReply(slices.Clone(r.Msg.Msg), kept)
		r.Keep = kept
		bare := *q
		bare.EDNS = wire.EDNS{}
		r.Replace(fl.rebuild(r.Buffer(), &bare, kept))
	}
	return false
}

// mayComplete reports whether --stop-dns-rebind allows the records of another name in the answer
// about name. A server cannot get around the option with a hint that leads to a name of
// --rebind-domain-ok.
func (fl *filter) mayComplete(name []byte, r *wire.Reply, now int64) bool {
	if fl.rebindable.contains(name) {
		return true
	}
	var rec wire.Record
	for it := r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if fl.rebindingRecord(r.Msg, &rec) {
			fl.rebinds.rebind(name, now)
			return false
		}
	}
	return true
}

// rebindingRecord reports whether --stop-dns-rebind applies to a record in msg.
func (fl *filter) rebindingRecord(msg []byte, rec *wire.Record) bool {
	if addr, ok := addressOf(msg, rec); ok {
		return fl.rebinding(addr)
	}
	return hints(msg, rec, fl.rebinding)
}

// rebinding reports whether --stop-dns-rebind applies to an address.
func (fl *filter) rebinding(addr netip.Addr) bool {
	return fl.private.contains(addr) && (!fl.RebindLocalhostOK || !isLocalhost(addr))
}

// move rewrites A records (--alias), in the cache too.
func (fl *filter) move(r *forwarder.Reply) {
	msg := append(r.Buffer(), r.Msg.Msg...)
	var rec wire.Record
	for it := r.Msg.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Type != wire.TypeA || rec.Class != wire.ClassIN {
			continue
		}
		data := msg[rec.Data:rec.End]
		binary.BigEndian.PutUint32(data, fl.moves.move(binary.BigEndian.Uint32(data)))
	}
	r.Replace(msg)
	r.Keep = r.Msg
}
