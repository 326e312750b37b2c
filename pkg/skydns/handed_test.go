package skydns

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// handed returns the names that a reply hands to dnscache.
func handed(tb testing.TB, m *dns.Msg) (names []string) {
	tb.Helper()
	opt := m.IsEdns0()
	if opt == nil {
		return nil
	}
	for _, o := range opt.Option {
		local, ok := o.(*dns.EDNS0_LOCAL)
		if !ok || local.Code != autopath.HintCode {
			continue
		}
		asked := []byte(dnsname.MustParse(strings.ToLower(m.Question[0].Name)))
		hint, ok := autopath.ParseHint(local.Data, asked)
		if !ok {
			tb.Errorf("%s: %x is no hint", m.Question[0].Name, local.Data)
		}
		for {
			name, more := hint.Next(nil, asked)
			if !more {
				break
			}
			names = append(names, dnsname.Name(name).String())
		}
	}
	return names
}

// TestHanded: with autopath all, the names outside that the client would ask for next are
// handed to dnscache in the client's order. Nothing else changes, and clients that do not
// support the option get the answers of the mode cluster.
func TestHanded(t *testing.T) {
	all := searchConfig(t, autopath.All)
	all.Outside = outsideServer{}
	all.Autopath.Set(autopath.Settings{Mode: autopath.All, Searches: []dnsname.Name{
		dnsname.MustParse("corp.internal."), dnsname.MustParse("team.corp.internal."),
	}})
	only := searchConfig(t, autopath.Cluster)
	only.Outside = outsideServer{}
	c, cluster := newClient(t, all), newClient(t, only)
	list := func(x string) string {
		return x + ".corp.internal. " + x + ".team.corp.internal. " + x + "."
	}
	long := strings.Repeat("a.", 100) + "a"
	for _, tt := range []struct{ query, want string }{
		{"api.example.test.ns1 A", list("api.example.test")},
		{"api.example.test.ns1 MX", list("api.example.test")},
		{"API.Example.test.ns1 AAAA", list("api.example.test")},
		{"nope.prod.ns1 A", list("nope.prod")},
		{"prod.web.prod A", ""}, // web is a Service in prod
		{long + ".ns1 A", list(long)},
		// x begins with an underscore.
		{"_x._tcp.example.test.ns1 SRV", ""},
		{"api.example.test.ns1 ANY", list("api.example.test")}, // dnscache keeps the negative answer for all types
		// The rules of the mode cluster.
		{"nope.ns1 A", ""},
		{"db-9.db.ns1 A", ""},
		{"api.ext.ns1 A", ""},
		{"api.example.test.bare A", ""},
		{"*.example.test.ns1 A", ""},
		{"api.example.test A", ""},
		// Found inside, or nowhere else.
		{"web.prod.ns1 A", ""},
		{"in2.prod.ns1 A", ""},
		{"nope.prod.svc.cluster.local.ns1 A", ""},
		{"nope.svc.clusterset.local.ns1 A", ""},
		{"api.example.test.ns1.svc.cluster.local.ns1 A", ""},
		{"lost.prod.ns1 A", ""},
		// An external name that leads outside exists, so nothing after it is tried.
		{"out.prod.ns1 A", "out.prod.svc.cluster.local."},
		{"inout.prod.ns1 A", "inout.prod.svc.cluster.local."},
	} {
		for _, stream := range []bool{false, true} {
			c.stream, cluster.stream = stream, stream
			m := question(t, tt.query)
			m.SetEdns0(1232, false)
			got, same := c.ask(m.Copy()), cluster.ask(m.Copy())
			if names := strings.Join(handed(t, got), " "); names != tt.want {
				t.Errorf("%s: handed %q, want %q", tt.query, names, tt.want)
			}
			if render(got) != render(same) {
				t.Errorf("%s: got\n%s\nwant, as with cluster,\n%s", tt.query, render(got), render(same))
			}
			if names := handed(t, c.ask(question(t, "web.ns1 A"))); len(names) > 0 {
				t.Errorf("after %s, another answer hands %q", tt.query, names)
			}
		}
	}
	c.stream = false
	if m := c.ask(question(t, "api.example.test.ns1 A")); render(m) != plainMissing || m.IsEdns0() != nil {
		t.Errorf("a client without EDNS gets %v", m)
	}
}

// A name without servers is not handed to dnscache; a name of a stub domain is, at its place
// in the list.
func TestHandedByRoute(t *testing.T) {
	cfg := searchConfig(t, autopath.All)
	cfg.Autopath.Set(autopath.Settings{Mode: autopath.All, Searches: []dnsname.Name{dnsname.MustParse("corp.internal.")}})
	stub := string(dnsname.MustParse("prod.svc.cluster.local."))
	cfg.Delegated = func(name []byte) bool { return strings.HasSuffix(string(name), stub) }
	nobody := RouteNobody
	cfg.Route = func(name []byte) Route {
		if cfg.Delegated(name) {
			return Route{Kind: RouteStub}
		}
		return Route{Kind: nobody}
	}
	c := newClient(t, cfg)
	ask := func(query string) []string {
		m := question(t, query)
		m.SetEdns0(1232, false)
		return handed(t, c.ask(m))
	}
	for _, tt := range []struct {
		query   string
		nobody  RouteKind
		handing []string
	}{
		{"api.example.test.ns1 A", RouteNobody, nil},
		{"web.prod.ns1 A", RouteNobody, []string{"web.prod.svc.cluster.local."}},
		{"web.prod.ns1 A", RouteDefault, []string{"web.prod.svc.cluster.local.", "web.prod.corp.internal.", "web.prod."}},
		{"web.prod.svc.ns1 A", RouteDefault, []string{"web.prod.svc.cluster.local.", "web.prod.svc.corp.internal.", "web.prod.svc."}},
		{"web.prod.svc.cluster.local.ns1 A", RouteDefault, []string{"web.prod.svc.cluster.local."}},
		{"api.example.test.ns1 A", RouteUnavailable, []string{"api.example.test.corp.internal.", "api.example.test."}},
	} {
		nobody = tt.nobody
		if got := ask(tt.query); !slices.Equal(got, tt.handing) {
			t.Errorf("%s: handed %q, want %q", tt.query, got, tt.handing)
		}
	}
}
