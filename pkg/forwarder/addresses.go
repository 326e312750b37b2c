package forwarder

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Addresses looks up the IPv4 and IPv6 addresses of a name in canonical form, in the same way
// as for a client. It returns an error if there are none or if ctx ends. The caller owns the
// result.
func (f *Forwarder) Addresses(ctx context.Context, name dnsname.Name) ([]netip.Addr, error) {
	type result struct {
		addrs []netip.Addr
		err   error
	}
	results := make(chan result, 2)
	for _, qtype := range [...]uint16{wire.TypeA, wire.TypeAAAA} {
		q := &wire.Query{Name: []byte(name), Type: qtype, Class: wire.ClassIN, Flags: wire.FlagRD}
		f.Resolve(q, func(reply *wire.Reply, err error) {
			if err == nil && reply.Rcode != wire.RcodeSuccess && reply.Rcode != wire.RcodeNXDomain {
				err = fmt.Errorf("the lookup failed with rcode %d", reply.Rcode)
			}
			if err != nil {
				results <- result{err: err}
				return
			}
			results <- result{addrs: addresses(reply)}
		})
	}
	var all result
	for range 2 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case r := <-results:
			all.addrs = append(all.addrs, r.addrs...)
			if all.err == nil {
				all.err = r.err
			}
		}
	}
	switch {
	case len(all.addrs) > 0:
		return all.addrs, nil
	case all.err != nil:
		return nil, all.err
	}
	return nil, errors.New("the name does not exist or has no address")
}

// addresses returns the addresses in the answer section of a reply.
func addresses(reply *wire.Reply) []netip.Addr {
	var list []netip.Addr
	var rec wire.Record
	for it := reply.Records(); it.Next(&rec); {
		if rec.Type != wire.TypeA && rec.Type != wire.TypeAAAA || rec.Section != wire.Answer {
			continue
		}
		if addr, ok := netip.AddrFromSlice(reply.Msg[rec.Data:rec.End]); ok {
			list = append(list, addr)
		}
	}
	return list
}
