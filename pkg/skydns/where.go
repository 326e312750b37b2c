package skydns

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Where is who answers for a name; see [Server.Where].
type Where struct {
	// Zone is the zone of this server that the name is in, "" for none. Own says that the
	// records of that zone are the answer, and not the servers of a stub domain in it.
	Zone dnsname.Name
	Own  bool
	// ZoneName says that the name is one of those that the zone itself has (its apex,
	// ns.dns or dns-version), so that no Service is looked for.
	ZoneName bool
	// Addr is the address of a reverse name that the cluster has, not valid for others.
	Addr netip.Addr
	// Route is where the question goes if neither has the answer.
	Route Route
}

// Where tells who answers questions of class IN about a canonical wire name, by the
// functions that answering uses. It is for explanations, not for the packet path.
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
