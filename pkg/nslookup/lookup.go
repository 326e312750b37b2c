package nslookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// LookupAnswer is the result of a successful lookup.
type LookupAnswer struct {
	// Server sent the answer. ServerName is how it was given on the command line.
	Server     netip.AddrPort
	ServerName string
	// Sections holds one reply for each type that has records, A before AAAA.
	Sections []PrintedReply
}

// PrintedReply is the part of one reply that is printed.
type PrintedReply struct {
	// Authoritative is the reply's AA flag.
	Authoritative bool
	// Records are the chain of aliases from the requested name, followed by the
	// records at its end.
	Records []dns.RR
}

// Lookup resolves one request. The error says in one line which server answered what
// for which name.
func (c Command) Lookup(ctx context.Context, req Request) (LookupAnswer, error) {
	servers, names, serverName, err := c.plan(ctx, req)
	if err != nil {
		return LookupAnswer{}, err
	}
	types := []uint16{req.Type}
	if a, err := netip.ParseAddr(req.Name); err == nil && req.Type == 0 {
		reverse, err := dns.ReverseAddr(a.WithZone("").String())
		if err != nil {
			return LookupAnswer{}, err
		}
		names, types = []string{reverse}, []uint16{dns.TypePTR}
	} else if req.Type == 0 {
		types = []uint16{dns.TypeA, dns.TypeAAAA}
	}
	var first error
	for _, name := range names {
		ans, err := c.ask(ctx, servers, name, types)
		if err == nil {
			if ans.ServerName = serverName; serverName == "" {
				ans.ServerName = ans.Server.Addr().String()
			}
			return ans, nil
		}
		if first == nil {
			first = fmt.Errorf("can't resolve '%s' at %w", strings.TrimSuffix(name, "."), err)
		}
		if _, replied := errors.AsType[rcodeError](err); !replied {
			break // a server that is silent now would be silent for the other names too
		}
	}
	return LookupAnswer{}, first
}

// plan returns the servers to ask and the names to try in turn. As in libc, the search
// list is used for names without a final dot, and only if no server is given.
func (c Command) plan(ctx context.Context, req Request) ([]netip.AddrPort, []string, string, error) {
	names := []string{dns.Fqdn(req.Name)}
	if req.Server.Addr.IsValid() {
		server := netip.AddrPortFrom(req.Server.Addr, req.Server.Port)
		return []netip.AddrPort{server}, names, req.Server.Addr.String(), nil
	}
	conf, err := readResolvConf(cmp.Or(c.ResolvConf, DefaultResolvConf), cmp.Or(c.ServerPort, dnsPort))
	if err != nil {
		return nil, nil, "", err
	}
	if req.Server == (Server{}) {
		return conf.servers, conf.NameList(req.Name), "", nil
	}
	addrs, err := c.serverAddrs(ctx, conf, req.Server.Host)
	if err != nil {
		return nil, nil, "", err
	}
	servers := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		servers = append(servers, netip.AddrPortFrom(a, req.Server.Port))
	}
	return servers, names, req.Server.Host, nil
}

// serverAddrs looks up a server that was given by name.
func (c Command) serverAddrs(ctx context.Context, conf resolvConf, host string) ([]netip.Addr, error) {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		// RFC 6761 §6.3: localhost must not be looked up at a server.
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	var last error
	for _, name := range conf.NameList(host) {
		ans, err := c.ask(ctx, conf.servers, name, []uint16{dns.TypeA, dns.TypeAAAA})
		if err != nil {
			last = err
			continue
		}
		return ans.addrs(), nil
	}
	return nil, fmt.Errorf("can't resolve server '%s' at %w", host, last)
}

// addrs returns the addresses among the records.
func (a LookupAnswer) addrs() []netip.Addr {
	var addrs []netip.Addr
	for _, s := range a.Sections {
		for _, rr := range s.Records {
			switch rr := rr.(type) {
			case *dns.A:
				if addr, ok := netip.AddrFromSlice(rr.A); ok {
					addrs = append(addrs, addr.Unmap())
				}
			case *dns.AAAA:
				if addr, ok := netip.AddrFromSlice(rr.AAAA); ok {
					addrs = append(addrs, addr)
				}
			}
		}
	}
	return addrs
}

// rcodeError is a reply that does not resolve the name.
type rcodeError struct {
	server netip.AddrPort
	text   string // NXDOMAIN, SERVFAIL and so on, or "no A record"
}

func (e rcodeError) Error() string { return e.server.String() + ": " + e.text }

// outcome is the reply to one question, or why there is none.
type outcome struct {
	reply  *dns.Msg
	server netip.AddrPort
	err    error
}

// ask asks for all types of one name at once. As soon as one of them is resolved, the
// others get the time of one more try: a server that answers A but is silent about AAAA
// must not cost the whole timeout.
func (c Command) ask(ctx context.Context, servers []netip.AddrPort, name string, types []uint16) (LookupAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type numbered struct {
		index int
		outcome
	}
	results := make(chan numbered, len(types))
	for i, qtype := range types {
		go func() {
			reply, server, err := c.exchange(ctx, servers, name, qtype)
			results <- numbered{i, outcome{reply, server, err}}
		}()
	}
	outcomes := make([]outcome, len(types))
	for range types {
		got := <-results
		outcomes[got.index] = got.outcome
		if got.err == nil && len(records(got.reply, name, types[got.index])) > 0 {
			defer time.AfterFunc(c.tryTimeout(), cancel).Stop()
		}
	}
	return c.judge(outcomes, name, types)
}

// judge combines the outcomes into one answer. If nothing was resolved, the error that
// it returns is a failure reply, else no reply, else that there is no such name or record.
func (c Command) judge(outcomes []outcome, name string, types []uint16) (LookupAnswer, error) {
	var (
		ans    LookupAnswer
		absent error
		worst  error
	)
	for i, o := range outcomes {
		if o.err != nil {
			if worst == nil {
				worst = fmt.Errorf("%v: %w", o.server, o.err)
			}
			continue
		}
		rrs := records(o.reply, name, types[i])
		switch {
		case len(rrs) > 0:
			if !ans.Server.IsValid() {
				ans.Server = o.server
			}
			ans.Sections = append(ans.Sections, PrintedReply{o.reply.Authoritative, rrs})
		case o.reply.Rcode == dns.RcodeSuccess:
			if absent == nil {
				absent = rcodeError{o.server, "no " + wanted(types) + " record"}
			}
		case o.reply.Rcode == dns.RcodeNameError:
			absent = rcodeError{o.server, "NXDOMAIN"}
		default:
			worst = rcodeError{o.server, wire.RcodeText(o.reply.Rcode)}
		}
	}
	switch {
	case len(ans.Sections) > 0:
		return ans, nil
	case worst != nil:
		return LookupAnswer{}, worst
	}
	return LookupAnswer{}, absent
}

func wanted(types []uint16) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = dns.TypeToString[t]
	}
	return strings.Join(texts, " or ")
}

// records returns the chain of aliases that starts at name and the records of qtype at
// its end, or nil if there are none: aliases alone do not resolve a name. Records whose
// owner name is not in the chain are ignored.
func records(reply *dns.Msg, name string, qtype uint16) []dns.RR {
	if reply.Rcode != dns.RcodeSuccess {
		return nil
	}
	var chain []dns.RR
	owner := name
	// At most as many steps as there are records, in case the aliases form a loop.
	for range len(reply.Answer) + 1 {
		var alias *dns.CNAME
		var found []dns.RR
		for _, rr := range reply.Answer {
			if !strings.EqualFold(rr.Header().Name, owner) {
				continue
			}
			if rr.Header().Rrtype == qtype || qtype == dns.TypeANY {
				found = append(found, rr)
			} else if cname, ok := rr.(*dns.CNAME); ok && alias == nil {
				alias = cname
			}
		}
		if len(found) > 0 {
			return append(chain, found...)
		}
		if alias == nil {
			return nil
		}
		chain = append(chain, alias)
		owner = alias.Target
	}
	return nil
}
