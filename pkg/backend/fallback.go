package backend

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// fallback returns a tree with only the API server's Service, or nil if the address
// cannot be in a record.
func fallback(zone dnsname.Name, api netip.AddrPort, ttl uint32) *treecache.Snapshot {
	set, _ := records.Build(&records.Service{
		Namespace: "default", Name: "kubernetes", Kind: records.ClusterIP,
		ClusterIPs: []netip.Addr{api.Addr()},
		Ports:      []records.Port{{Name: "https", Protocol: records.TCP, Number: api.Port()}},
	}, nil, len(zone), ttl)
	if set == nil {
		return nil
	}
	t := treecache.New(zone)
	t.Replace(set)
	return t.Snapshot()
}

// unsynced answers while the tree is incomplete. Liveness checks ask for the API
// server's name: if it were Unavailable, they would restart the Pod because the
// API server is down.
func (b *Backend) unsynced(name []byte) treecache.Answer {
	if b.fallback != nil {
		if a := b.fallback.Lookup(name); a.Status == treecache.Found {
			return a
		}
	}
	return treecache.Answer{Status: treecache.Unavailable}
}
