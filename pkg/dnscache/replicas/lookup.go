package replicas

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/dnsclient"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	// lookupTries is how often a server is asked over UDP. Each attempt takes at most
	// lookupPatience.
	lookupTries    = 2
	lookupPatience = time.Second
)

// answer holds the addresses of a name, which may be none, and the shortest TTL among them.
type answer struct {
	addrs []netip.Addr
	ttl   time.Duration
}

// lookUp asks one server for the addresses of a name of one type, A or AAAA. If the name does
// not exist or has no addresses, the answer is empty. An error means that the server gave no
// usable answer.
func lookUp(ctx context.Context, server netip.AddrPort, overTCP bool, name dnsname.Name, qtype uint16) (a answer, err error) {
	question := &wire.Query{Name: []byte(name), Type: qtype, Class: wire.ClassIN, Flags: wire.FlagRD}
	exchange := func(network string) (*wire.Reply, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupPatience)
		defer cancel()
		return dnsclient.Exchange(ctx, network, server, question)
	}
	network := "udp"
	if overTCP {
		network = "tcp"
	}
	for range lookupTries {
		var reply *wire.Reply
		reply, err = exchange(network)
		if err == nil && reply.Truncated() && !overTCP {
			reply, err = exchange("tcp")
		}
		switch {
		case ctx.Err() != nil:
			return answer{}, ctx.Err()
		case err != nil:
			continue
		case reply.Rcode == wire.RcodeSuccess, reply.Rcode == wire.RcodeNXDomain:
			return addresses(reply, name, qtype), nil
		}
		return answer{}, fmt.Errorf("rcode %d", reply.Rcode)
	}
	return answer{}, err
}

// addresses returns the addresses of a type that belong to the name itself. Aliases are not
// followed, because a headless Service has none.
func addresses(r *wire.Reply, name dnsname.Name, qtype uint16) answer {
	var rec wire.Record
	var buf [wire.MaxName]byte
	a, ttl := answer{}, uint32(math.MaxUint32)
	for it := r.Records(); it.Next(&rec); {
		if rec.Section != wire.Answer || rec.Type != qtype || rec.Class != wire.ClassIN {
			continue
		}
		owner, _, ok := wire.AppendName(buf[:0], r.Msg, rec.Owner)
		addr, isAddr := netip.AddrFromSlice(r.Msg[rec.Data:rec.End])
		if !ok || !isAddr || !wire.EqualNames(owner, []byte(name)) {
			continue
		}
		a.addrs = append(a.addrs, addr)
		ttl = min(ttl, rec.TTL)
	}
	a.ttl = time.Duration(ttl) * time.Second
	return a
}
