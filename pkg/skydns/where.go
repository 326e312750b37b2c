package skydns

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Where says which part of the server, or which other servers, answer for a name; see
// [Server.Where].
type Where struct {
	// Zone is the zone of this server that contains the name, "" for none. Own says that the
	// answer comes from the zone's records, and not from the servers of a stub domain in the
	// zone.
	Zone dnsname.Name
	Own  bool
	// ZoneName says that the name belongs to the zone itself (its apex, ns.dns or
	// dns-version), so that it is not looked up as a Service.
	ZoneName bool
	// Addr is the address of a reverse name for which the cluster has an answer. It is not
	// valid for other names.
	Addr netip.Addr
	// Route is where the question goes if neither has the answer.
	Route Route
}

// Where returns who answers questions of class IN about a canonical wire name. It uses the
// same functions as answering does. It is meant for explanations, not for the packet path.
func (s *Server) Where(name []byte) (where Where) {
	z, at, own := s.cutOwn(name)
	if _, in := dnsname.CutZone(name, z.name); in {
		where.Zone, where.Own = z.name, own
	}
	if own {
		where.ZoneName = isZoneName(name[:at])
		return where
	}
	if addr, ok := dnsname.ReverseAddr(name); ok && (s.cfg.Delegated == nil || !s.cfg.Delegated(name)) {
		if a := s.domain.backend.ReverseRecord(addr, nil); a.Len() > 0 {
			where.Addr = addr
			return where
		}
	}
	where.Route = s.route(name)
	return where
}

// isZoneName reports whether answerOwn answers for a name relative to a zone.
func isZoneName(relative []byte) bool {
	switch string(relative) {
	case "", dnsPrefix, nsPrefix, versionPrefix:
		return true
	}
	return false
}
