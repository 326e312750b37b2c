// Package local answers from local data, as dnsmasq does: hosts files,
// --host-record and other records, --cname, --synth-domain, and the addresses of
// --address.
//
// Use [New] to make the data of a [Config], and give its [Data.Stage] to a forwarder. Data never
// changes; make new Data for a new configuration.
package local

import (
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Stage returns the stage that answers from l.
func (l *Data) Stage() forwarder.Stage {
	s := forwarder.Stage{Name: "local data", Miss: l.miss, Reply: l.reply}
	if len(l.names)+len(l.aliases)+len(l.synth)+l.hosts.Len() > 0 {
		s.Query = l.query
	}
	return s
}

func (l *Data) query(q *forwarder.Query) bool {
	return q.Msg.Class == wire.ClassIN && l.answer(q)
}

// configSource is the source, in the query log, of computed names and of addresses in routes.
const configSource = "config"

// miss answers questions about domains that have no servers.
func (l *Data) miss(q *forwarder.Query, d upstream.Decision) bool {
	switch d.Kind {
	case upstream.Literal: // --address=/domain/addr
		q.Because("--address")
		b := q.Build()
		b.SetAA(true)
		for _, addr := range d.Addrs {
			if !b.Addr(nil, l.ttl, addr) {
				b.SetTC()
				break
			}
		}
		return q.Answer(configSource)
	case upstream.LocalOnly: // --local=/domain/: no data, or no such name
		q.Because("--local or --server=/DOMAIN/ without an address: nobody is asked about names of this domain")
		if l.Knows(q.Name) || q.HasLiteral() {
			return q.AnswerEmpty(wire.RcodeSuccess, wire.ExtendedError{})
		}
		return q.AnswerEmpty(wire.RcodeNXDomain, wire.ExtendedError{})
	}
	return false
}

// reply corrects NXDOMAIN from a server about a name that exists here: the name has no data of
// this type. As in dnsmasq, the server's SOA record remains.
func (l *Data) reply(r *forwarder.Reply) bool {
	q := r.Question
	if r.Msg.Rcode != wire.RcodeNXDomain || q.Class != wire.ClassIN {
		return false
	}
	var buf [wire.MaxName]byte
	name := dnsname.AppendLower(buf[:0], q.Name)
	if !l.Knows(name) && !r.HasLiteral(name) {
		return false
	}
	const rcodeBits = 0xf
	msg := append(r.Buffer(), r.Msg.Msg...)
	wire.SetFlags(msg, wire.Flags(msg)&^rcodeBits|wire.FlagAA)
	r.Replace(msg)
	r.Keep = nil // that the name exists is not the server's to say
	return true
}
