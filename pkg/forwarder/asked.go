package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Asked is whom a question would be sent to.
type Asked struct {
	// Kind says what becomes of the question.
	Kind upstream.Kind
	// Domain is the domain whose servers these are, "" for the servers for all names.
	Domain string
	// Servers are the addresses of the servers, in the order of the configuration.
	Servers []netip.AddrPort
	// Reason is set for [upstream.Unavailable].
	Reason string
}

// WouldAsk tells whom a question about a canonical wire name would be sent to, by the
// table that questions are sent by.
func (f *Forwarder) WouldAsk(name []byte, qtype uint16) Asked {
	d := f.set.Table().Lookup(name, qtype)
	a := Asked{Kind: d.Kind, Reason: d.Reason}
	if d.Kind == upstream.Ask {
		a.Domain, a.Servers = d.Group.Domain(), d.Group.GroupServers()
	}
	return a
}
