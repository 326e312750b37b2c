package skydns

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// routes plays package stubdomain: a zone and where its names go.
type routes map[dnsname.Name]Route

func (r routes) find(name []byte) (Route, bool) {
	for at := 0; at < len(name)-1; at += int(name[at]) + 1 {
		if route, ok := r[dnsname.Name(name[at:])]; ok {
			return route, true
		}
	}
	return r[dnsname.Root], false
}

func (r routes) route(name []byte) Route {
	route, _ := r.find(name)
	return route
}

func (r routes) delegated(name []byte) bool {
	_, found := r.find(name)
	return found
}

// TestRoutes: which server answers for a name, by the kind of its route.
func TestRoutes(t *testing.T) {
	const us, dead = "no address for server us", "no address for server dead"
	to := func(fallback RouteKind) routes {
		return routes{
			"\x04stub\x00":      {Kind: RouteStub},
			"\x04dead\x00":      {Kind: RouteUnavailable, Reason: dead},
			"\x01x\x04dead\x00": {Kind: RouteStub},
			dnsname.MustParse("us.svc.cluster.local"): {Kind: RouteStub},
			dnsname.MustParse("eu.svc.cluster.local"): {Kind: RouteUnavailable, Reason: us},
			dnsname.MustParse("0.96.10.in-addr.arpa"): {Kind: RouteStub},
			dnsname.Root: {Kind: fallback, Reason: "nobody"},
		}
	}
	const handed, own = "handed on", "NOERROR"
	tests := []struct{ query, want, withNobody, withNone string }{
		{"a.STUB. A", handed, handed, handed},
		{"stub. A", handed, handed, handed},
		{"stub. AAAA", handed, handed, handed},
		{"stub. SOA", handed, handed, handed},
		{"a.dead. A", "SERVFAIL " + dead, "SERVFAIL " + dead, "SERVFAIL " + dead},
		{"dead. A", "SERVFAIL " + dead, "SERVFAIL " + dead, "SERVFAIL " + dead},
		{"x.dead. A", handed, handed, handed},
		{"y.us.svc.cluster.local. A", handed, handed, handed},
		{"us.svc.cluster.local. SOA", handed, handed, handed},
		{"y.eu.svc.cluster.local. A", "SERVFAIL " + us, "SERVFAIL " + us, "SERVFAIL " + us},
		{"xus.svc.cluster.local. A", "NXDOMAIN", "NXDOMAIN", "NXDOMAIN"},
		{"web.default.svc.cluster.local. A", own, own, own},
		{"10.0.96.10.in-addr.arpa. PTR", handed, handed, handed},
		{"example.com. A", handed, "SERVFAIL nobody", "REFUSED"},
		{"com. A", "NXDOMAIN", "NXDOMAIN", "REFUSED"},
		{"com. ANY", "NXDOMAIN", "NXDOMAIN", "REFUSED"},
		{"com. NS", handed, "SERVFAIL nobody", "REFUSED"},
		{". NS", handed, "SERVFAIL nobody", "REFUSED"},
		{". A", handed, "SERVFAIL nobody", "REFUSED"},
		{"9.9.9.10.in-addr.arpa. PTR", handed, "SERVFAIL nobody", "REFUSED"},
	}
	for _, config := range []struct {
		name     string
		fallback RouteKind
		refuse   bool
		want     func(i int) string
	}{
		{"servers", RouteDefault, false, func(i int) string { return tests[i].want }},
		{"no servers", RouteNobody, false, func(i int) string { return tests[i].withNobody }},
		{"none wanted", RouteNobody, true, func(i int) string { return tests[i].withNone }},
	} {
		o, r := &outside{}, to(config.fallback)
		c := newClient(t, Config{Outside: o, Route: r.route, Delegated: r.delegated, RefuseUncovered: config.refuse, NegativeTTL: 5 * time.Second})
		for i, tt := range tests {
			o.asked = nil
			reply := c.ask(question(t, tt.query).SetEdns0(1232, false))
			got := dns.RcodeToString[reply.Rcode]
			if len(o.asked) > 0 {
				got = handed
			} else if opt := reply.IsEdns0(); reply.Rcode == dns.RcodeServerFailure && opt != nil && len(opt.Option) == 1 {
				if e, ok := opt.Option[0].(*dns.EDNS0_EDE); ok {
					got += " " + e.ExtraText
				}
			}
			if got != config.want(i) {
				t.Errorf("%s: %s: %s, want %s", config.name, tt.query, got, config.want(i))
			}
			if single := strings.Count(tt.query, ".") == 1; got == "NXDOMAIN" && single &&
				(len(reply.Ns) != 1 || reply.Ns[0].Header().Name != "." || reply.Ns[0].Header().Ttl != 0 || reply.Authoritative) {
				t.Errorf("%s: %s: it must not hold for other types: %s", config.name, tt.query, render(reply))
			}
		}
	}
}

// TestTargetRoutes: external names follow the same routes.
func TestTargetRoutes(t *testing.T) {
	f := newFixture(t)
	for name, target := range map[string]string{
		"consul": "consul", "dead": "dead", "short": "nosuch", "us": "db.us.svc.cluster.local", "eu": "db.eu.svc.cluster.local",
	} {
		f.add(t, external("to", name, target))
	}
	var asked []string
	resolve := func(question *wire.Query, done func(*wire.Reply, error)) {
		name := dnsname.Name(question.Name).String()
		asked = append(asked, name)
		answer := new(dns.Msg).SetQuestion(name, question.Type)
		answer.Response = true
		if question.Type == dns.TypeA {
			rr, _ := dns.NewRR(name + " 20 IN A 192.0.2.1")
			answer.Answer = append(answer.Answer, rr)
		}
		out, err := answer.Pack()
		var reply wire.Reply
		if err != nil || !wire.ParseReply(out, &reply) {
			t.Errorf("the reply about %s: %v", name, err)
		}
		done(&reply, nil)
	}
	r := routes{
		"\x06consul\x00": {Kind: RouteStub},
		"\x04dead\x00":   {Kind: RouteUnavailable, Reason: "why"},
		dnsname.MustParse("us.svc.cluster.local"): {Kind: RouteStub},
		dnsname.MustParse("eu.svc.cluster.local"): {Kind: RouteUnavailable, Reason: "why"},
	}
	c := newClient(t, Config{Backend: f, Resolve: resolve, Route: r.route, Delegated: r.delegated, NegativeTTL: 5 * time.Second})
	for _, tt := range []struct{ query, want, asked string }{
		{"consul.to A", "NOERROR aa\nconsul.to.S 30 CNAME consul.\nconsul. 20 A 192.0.2.1", "consul."},
		{"short.to A", "NXDOMAIN aa\nshort.to.S 30 CNAME nosuch.\nns . 0 SOA min=0", ""},
		{"short.to AAAA", "NXDOMAIN aa\nshort.to.S 30 CNAME nosuch.\nns . 0 SOA min=0", ""},
		{"short.to TXT", "NOERROR aa\nshort.to.S 30 CNAME nosuch.", "nosuch."},
		{"dead.to A", "SERVFAIL", ""},
		{"eu.to A", "SERVFAIL", ""},
		{"us.to A", "NOERROR aa\nus.to.S 30 CNAME db.us.S\ndb.us.S 20 A 192.0.2.1", "db.us.svc.cluster.local."},
	} {
		asked = nil
		got := render(c.ask(question(t, tt.query)))
		if tt.want == "SERVFAIL" {
			got, _, _ = strings.Cut(got, " ")
		}
		if got != tt.want || strings.Join(asked, " ") != tt.asked {
			t.Errorf("%s: %s, asked %v; want %s, asked %s", tt.query, got, asked, tt.want, tt.asked)
		}
	}
}
