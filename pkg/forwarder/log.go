package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The functions of this file are called only when there is a query log.

// event begins an event about an asker's query.
func event(kind EventKind, q *wire.Query, a *asker) Event {
	return Event{Kind: kind, Serial: a.serial, Client: a.to.Peer(), Name: q.Name, Type: q.Type, Class: q.Class}
}

func (f *Forwarder) logQuery(st *state, q *wire.Query, a *asker) {
	e := event(EventQuery, q, a)
	st.log.Log(&e)
}

func (f *Forwarder) logDuplicate(st *state, q *wire.Query, a *asker) {
	e := event(EventDuplicate, q, a)
	st.log.Log(&e)
}

func (f *Forwarder) logCached(st *state, q *wire.Query, a *asker, msg []byte, result answercache.Result) {
	e := event(EventCached, q, a)
	if result == answercache.Stale {
		e.Kind = EventStale
	}
	e.Msg, e.Rcode = msg, wire.Rcode(wire.Flags(msg))
	st.log.Log(&e)
}

func (f *Forwarder) logLocal(st *state, q *wire.Query, a *asker, msg []byte, source string) {
	e := event(EventConfig, q, a)
	e.Msg, e.Rcode, e.Source = msg, wire.Rcode(wire.Flags(msg)), source
	st.log.Log(&e)
}

func (f *Forwarder) logError(st *state, q *wire.Query, a *asker, rcode int, ede wire.ExtendedError) {
	e := event(EventError, q, a)
	e.Rcode, e.Reason, e.HasReason = rcode, ede.Code, ede.Present
	st.log.Log(&e)
}

// ofFlight begins an event about a question in flight, told of its first asker.
func ofFlight(kind EventKind, fl *flight) Event {
	return Event{
		Kind: kind, Serial: fl.serial, Client: fl.client.Peer(),
		Name: fl.name[:fl.nlen], Type: fl.typ, Class: fl.class,
	}
}

func (f *Forwarder) logReply(st *state, fl *flight, r *upstream.Result, reply *wire.Reply) {
	e := ofFlight(EventReply, fl)
	if reply.Truncated() {
		e.Kind = EventTruncated
	}
	e.Msg, e.Rcode, e.Server = reply.Msg, reply.Rcode, r.Server
	st.log.Log(&e)
}

// onSend logs each packet to a server.
func onSend(owner upstream.Owner, server netip.AddrPort) {
	fl, ok := owner.(*flight)
	if !ok {
		return
	}
	if st := fl.f.state.Load(); st.log != nil {
		e := ofFlight(EventForwarded, fl)
		e.Server = server
		st.log.Log(&e)
	}
}
