package skydns

import (
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Route says where questions go about a name for which the Backend does not answer.
type Route struct {
	Kind RouteKind
	// Reason says why there is no server to ask, for RouteNobody and RouteUnavailable.
	Reason string
}

// RouteKind is a class of destinations.
type RouteKind uint8

// The destinations.
const (
	// RouteDefault: the default servers, for names without one of their own.
	RouteDefault RouteKind = iota
	// RouteStub: the servers of the name's stub domain.
	RouteStub
	// RouteNobody: there are no default servers.
	RouteNobody
	// RouteUnavailable: the name is in a stub domain, and none of its servers can be asked.
	// No other server may be asked instead.
	RouteUnavailable
)

// route returns where questions about a canonical wire name go.
func (s *Server) route(name []byte) Route {
	switch {
	case s.cfg.Route != nil:
		return s.cfg.Route(name)
	case s.cfg.Outside == nil && s.cfg.Resolve == nil:
		return Route{Kind: RouteNobody}
	}
	return Route{}
}

// cutOwn returns the zone that contains a canonical wire name, the offset at which the zone
// begins in it, and whether the zone's backend answers for the name. It does not if the name
// belongs to a stub domain below the zone.
func (s *Server) cutOwn(name []byte) (z *authority, at int, own bool) {
	z = &s.domain
	at, own = dnsname.CutZone(name, z.name)
	for i := 0; !own && i < len(s.others); i++ {
		z = &s.others[i]
		at, own = dnsname.CutZone(name, z.name)
	}
	return z, at, own && (s.cfg.Delegated == nil || !s.cfg.Delegated(name))
}

// answerOutside passes on a question about a name that is not ours, or answers with an error
// if there is no server to ask.
func (w *worker) answerOutside(packet, reply []byte) []byte {
	cfg := &w.s.cfg
	route := w.s.route(w.name)
	switch {
	case route.Kind == RouteUnavailable:
		return w.refuse(reply, wire.RcodeServFail, wire.Extended(wire.EDENoReachableAuthority, route.Reason))
	case cfg.Outside == nil, route.Kind == RouteNobody && cfg.RefuseUncovered:
		out := w.refuse(reply, wire.RcodeRefused, wire.Extended(wire.EDENotAuthoritative, ""))
		wire.SetFlags(out[len(reply):], wire.Flags(out[len(reply):])&^wire.FlagRA)
		return out
	case route.Kind != RouteStub && keptInside(w.name, w.q.Type):
		w.begin(reply)
		w.b.SetAA(false)
		return w.finish(w.noSingleLabel())
	case route.Kind == RouteNobody:
		return w.refuse(reply, wire.RcodeServFail, wire.Extended(wire.EDENoReachableAuthority, route.Reason))
	}
	w.counters.forwarded.Add(1)
	out := cfg.Outside.Handle(packet, w.to, reply)
	if len(out) > len(reply) {
		w.counters.observeOutside(0, out[len(reply):])
		w.s.noteOutside(out[len(reply):])
	}
	return out
}

// keptInside reports whether a question must not leave the cluster: one for an address of a
// name with a single label. Such names come from search lists and mean a host nearby.
// Questions of other types are about top-level domains or the root.
func keptInside(name []byte, qtype uint16) bool {
	switch qtype {
	case wire.TypeA, wire.TypeAAAA, wire.TypeANY:
		return len(name) > 1 && len(name) == int(name[0])+2
	}
	return false
}

// noSingleLabel answers that a name with a single label does not exist. The answer must not
// be cached, because NXDOMAIN covers all types (RFC 2308 §5), and top-level domains have
// records of types other than addresses.
func (w *worker) noSingleLabel() result {
	soa := w.soa()
	soa.Minimum = 0
	w.b.Open(wire.Authority)
	if !w.b.SOA([]byte{0}, 0, &soa) && !w.to.Stream() { // the root's
		w.b.SetTC()
	}
	return result{
		system: systemAuth, rcode: wire.RcodeNXDomain,
		ede: wire.Extended(wire.EDEOther, "addresses of single-label names are not looked up outside the cluster"),
	}
}
