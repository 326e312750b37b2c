package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Asked says which servers would be asked a question.
type Asked struct {
	// Kind says how the question is handled.
	Kind upstream.Kind
	// Domain is the domain that the servers are for; "" for the servers for all names.
	Domain string
	// Servers are the addresses of the servers, in the order of the configuration.
	Servers []netip.AddrPort
	// Reason says why no server can be asked. It is set only for [upstream.Unavailable].
	Reason string
}

// WouldAsk returns the servers that would be asked about a canonical wire name, according to
// the current routing table. It sends nothing.
func (f *Forwarder) WouldAsk(name []byte, qtype uint16) Asked {
	d := f.set.Table().Lookup(name, qtype)
	a := Asked{Kind: d.Kind, Reason: d.Reason}
	if d.Kind == upstream.Ask {
		a.Domain, a.Servers = d.Group.Domain(), d.Group.GroupServers()
	}
	return a
}
