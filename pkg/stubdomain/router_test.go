package stubdomain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// world is what surrounds a Router: the cluster's records, names outside, and
// the forwarder.
type world struct {
	t *testing.T
	*Router

	mu      sync.Mutex
	loading bool
	local   map[string]string // name: address, or "@" and the target of an external name
	remote  map[string]string // name: addresses
	asked   []string          // "name server..."
	routes  string
	log     bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, local: map[string]string{}, remote: map[string]string{}}
	w.Router = New(Config{
		Domain: dnsname.MustParse("cluster.local"),
		Local: func(name []byte) treecache.Answer {
			w.mu.Lock()
			defer w.mu.Unlock()
			value := w.local[dnsname.Name(name).String()]
			switch {
			case w.loading:
				return treecache.Answer{Status: treecache.Unavailable}
			case value == "":
				return treecache.Answer{}
			case value == "none":
				return treecache.Answer{Status: treecache.NoRecords}
			case value[0] == '@':
				return treecache.ListAnswer([]treecache.Record{treecache.AliasRecord(dnsname.MustParse(value[1:]), 30)})
			}
			var list []treecache.Record
			for addr := range strings.FieldsSeq(value) {
				list = append(list, treecache.AddressRecord(netip.MustParseAddr(addr), 30))
			}
			return treecache.ListAnswer(list)
		},
		Lookup: func(_ context.Context, servers []netip.AddrPort, name dnsname.Name) ([]netip.Addr, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			text := name.String()
			for _, s := range servers {
				text += " " + s.String()
			}
			w.asked = append(w.asked, text)
			var addrs []netip.Addr
			for a := range strings.FieldsSeq(w.remote[name.String()]) {
				addrs = append(addrs, netip.MustParseAddr(a))
			}
			if len(addrs) == 0 {
				return nil, errors.New("no answer")
			}
			return addrs, nil
		},
		Reload: func(routes []upstream.Route) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.routes = ""
			for _, route := range routes {
				if route.Local {
					continue // see wantRoute
				}
				w.routes += display(route.Domain.Name)
				for _, s := range route.Servers {
					w.routes += " " + s.Addr.String()
				}
				w.routes += "\n"
			}
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.Level(-2)})),
	})
	return w
}

// config sets servers 9.9.9.9 and the stub domains of a ConfigMap.
func (w *world) config(stubs string) {
	w.t.Helper()
	c, err := dnsconfig.Parse(map[string]string{"stubDomains": stubs})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Set([]dnsconfig.Server{{Addr: netip.MustParseAddrPort("9.9.9.9:53")}}, c.StubDomains)
}

func (w *world) set(m map[string]string, name, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m[name] = value
}

func (w *world) check(when string, routes ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if diff := cmp.Diff(strings.Join(routes, "\n")+"\n", w.routes); diff != "" {
		w.t.Errorf("%s: -want +got:\n%s", when, diff)
	}
}

// wantRoute checks one name: "stub", "default", "nobody", or a part of the
// reason why its servers cannot be asked.
func (w *world) wantRoute(name, want string) {
	w.t.Helper()
	route := w.Route([]byte(dnsname.MustParse(name)))
	got := map[skydns.RouteKind]string{
		skydns.RouteDefault: "default", skydns.RouteStub: "stub", skydns.RouteNobody: "nobody", skydns.RouteUnavailable: route.Reason,
	}[route.Kind]
	if got != want && (route.Kind != skydns.RouteUnavailable || !strings.Contains(got, want)) {
		w.t.Errorf("%s goes to %q, want %q", name, got, want)
	}
}

// run runs the Router within a synctest bubble until the test ends.
func run(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		test(w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// warnings returns the warnings so far that hold text.
func (w *world) warnings(text string) int {
	synctest.Wait()
	w.Router.mu.Lock()
	defer w.Router.mu.Unlock()
	n := 0
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// TestServiceName: a server that is a Service is found as soon as the lists are
// in, its changes are followed, and its domain's names never go elsewhere.
func TestServiceName(t *testing.T) {
	run(t, func(w *world) {
		const service = "stub.dns.svc.cluster.local."
		w.loading = true
		w.config(`{"corp.example": ["stub.dns.svc.cluster.local"]}`)
		w.check("while the lists load", ". 9.9.9.9:53")
		w.wantRoute("x.corp.example", "not been loaded yet")
		w.wantRoute("example", "default")
		time.Sleep(2 * time.Minute)
		if n := w.warnings(""); n != 0 {
			t.Errorf("%d warnings while the lists load:\n%s", n, w.log.String())
		}
		w.mu.Lock()
		w.loading = false
		w.local[service] = "10.96.0.7"
		w.mu.Unlock()
		pass(localPeriod)
		w.check("as soon as they are in", "corp.example 10.96.0.7:53", ". 9.9.9.9:53")
		w.wantRoute("x.corp.example", "stub")
		w.set(w.local, service, "10.96.0.8")
		pass(localPeriod)
		w.check("it has moved", "corp.example 10.96.0.8:53", ". 9.9.9.9:53")
		w.set(w.local, service, "fd00::8")
		pass(localPeriod)
		w.check("to IPv6", "corp.example [fd00::8]:53", ". 9.9.9.9:53")
		w.set(w.local, service, "none")
		pass(localPeriod)
		w.check("it has no address", ". 9.9.9.9:53")
		w.wantRoute("corp.example", "no address")
		w.set(w.local, service, "")
		pass(localPeriod)
		w.wantRoute("corp.example", "no such Service")
		time.Sleep(5*time.Minute + time.Second)
		if n := w.warnings("domain=corp.example server=stub.dns.svc.cluster.local"); n != 6 {
			t.Errorf("%d warnings in five minutes, want one a minute:\n%s", n, w.log.String())
		}
		w.set(w.local, service, "10.96.0.9")
		pass(localPeriod)
		w.check("it is back", "corp.example 10.96.0.9:53", ". 9.9.9.9:53")
		if len(w.asked) > 0 {
			t.Errorf("other servers were asked: %v", w.asked)
		}
	})
}

// TestOutsideName: names outside are asked of the default servers, or those of
// their own stub domain, soon again while they have no address, and keep the
// last one otherwise.
func TestOutsideName(t *testing.T) {
	run(t, func(w *world) {
		w.config(`{"b.test": ["1.2.3.4:54", "ns.example.com", "1.2.3.4:54"], "a.test": ["ns.example.com"], "c.test": [],
			"d.test": ["ns.d.test"], "e.test": ["ns.b.test"], "f.test": ["1.2.3.4:0"]}`)
		base := []string{"b.test 1.2.3.4:54", "f.test 1.2.3.4:53", ". 9.9.9.9:53"}
		w.check("nothing found", base...)
		w.wantRoute("a.test", "no address for server ns.example.com: no answer")
		w.wantRoute("x.d.test", "none of whose servers has an address")
		w.wantRoute("c.test", "default")
		w.set(w.remote, "ns.example.com.", "10.9.9.2 2001:db8::1 10.9.9.1 10.9.9.2")
		time.Sleep(maxRetry)
		found := "10.9.9.1:53 10.9.9.2:53 [2001:db8::1]:53"
		w.check("soon found", "a.test "+found, "b.test 1.2.3.4:54 "+found, "f.test 1.2.3.4:53", ". 9.9.9.9:53")
		w.set(w.remote, "ns.example.com.", "")
		w.set(w.remote, "ns.b.test.", "10.9.9.3")
		time.Sleep(remotePeriod + maxRetry)
		w.check("kept", "a.test "+found, "b.test 1.2.3.4:54 "+found, "e.test 10.9.9.3:53", "f.test 1.2.3.4:53", ". 9.9.9.9:53")
		w.set(w.remote, "ns.example.com.", "10.9.9.4")
		time.Sleep(remotePeriod)
		w.check("moved", "a.test 10.9.9.4:53", "b.test 1.2.3.4:54 10.9.9.4:53", "e.test 10.9.9.3:53", "f.test 1.2.3.4:53", ". 9.9.9.9:53")
		for _, asked := range w.asked {
			inB := strings.HasPrefix(asked, "ns.b.test.")
			if strings.HasPrefix(asked, "ns.d.test.") || strings.Contains(asked, "9.9.9.9") == inB || strings.Contains(asked, "1.2.3.4:54") != inB {
				t.Errorf("asked %s", asked)
			}
		}
		if n := w.warnings("keeping its previous addresses"); n != 1 {
			t.Errorf("%d warnings about a server that is kept:\n%s", n, w.log.String())
		}
		before := len(w.asked)
		w.config(`{}`)
		w.check("none", ". 9.9.9.9:53")
		time.Sleep(5 * time.Minute)
		if len(w.asked) != before {
			t.Errorf("still asked: %v", w.asked[before:])
		}
	})
}

// TestExternalNameServer: a server may be an ExternalName Service.
func TestExternalNameServer(t *testing.T) {
	run(t, func(w *world) {
		w.local["out.dns.svc.cluster.local."] = "@Ns.example.com"
		w.local["in.dns.svc.cluster.local."] = "@stub.dns.svc.cluster.local"
		w.local["loop.dns.svc.cluster.local."] = "@loop.dns.svc.cluster.local"
		w.local["stub.dns.svc.cluster.local."] = "10.96.0.7"
		w.remote["ns.example.com."] = "10.9.9.1"
		w.config(`{"out.test": ["out.dns.svc.cluster.local"], "in.test": ["in.dns.svc.cluster.local"], "loop.test": ["loop.dns.svc.cluster.local"]}`)
		time.Sleep(time.Second)
		w.check("found", "in.test 10.96.0.7:53", "out.test 10.9.9.1:53", ". 9.9.9.9:53")
		w.wantRoute("loop.test", "too many ExternalName Services")
	})
}

// TestLongestDomain: the longest stub domain has a name; below the cluster domain
// and in reverse zones its servers come before the cluster's records.
func TestLongestDomain(t *testing.T) {
	run(t, func(w *world) {
		w.config(`{"local": ["1.1.1.1"], "us-east.svc.cluster.local": ["1.1.1.2"], "db.us-east.svc.cluster.local": ["nosuch.dns.svc.cluster.local"],
			"cluster.local": ["1.1.1.3"], "svc.cluster.local": ["1.1.1.4"], "10.in-addr.arpa": ["1.1.1.5"], "in-addr.arpa": ["1.1.1.6"], "consul": ["1.1.1.7"]}`)
		w.check("routes", "10.in-addr.arpa 1.1.1.5:53", "consul 1.1.1.7:53", "in-addr.arpa 1.1.1.6:53", "local 1.1.1.1:53", "us-east.svc.cluster.local 1.1.1.2:53", ". 9.9.9.9:53")
		for _, tt := range []struct {
			name      string
			delegated bool
			route     string
		}{
			{"local", false, "stub"},
			{"x.local", false, "stub"},
			{"web.default.svc.cluster.local", false, "stub"}, // skydns does not ask where its own names go
			{"svc.cluster.local", false, "stub"},
			{"us-east.svc.cluster.local", true, "stub"},
			{"a.b.us-east.svc.cluster.local", true, "stub"},
			{"xus-east.svc.cluster.local", false, "stub"},
			{"a.db.us-east.svc.cluster.local", true, "no such Service"},
			{"1.0.0.10.in-addr.arpa", true, "stub"},
			{"1.0.0.11.in-addr.arpa", false, "stub"},
			{"consul", false, "stub"},
			{"a.consul", false, "stub"},
			{"example", false, "default"},
		} {
			w.wantRoute(tt.name, tt.route)
			if got := w.Delegated([]byte(dnsname.MustParse(tt.name))); got != tt.delegated {
				t.Errorf("%s: delegated %v, want %v", tt.name, got, tt.delegated)
			}
		}
		for _, domain := range []string{"domain=cluster.local ", "domain=svc.cluster.local "} {
			if n := w.warnings(domain); n != 1 {
				t.Errorf("%d warnings with %s:\n%s", n, domain, w.log.String())
			}
		}
		want := "stub domain us-east.svc.cluster.local: 1.1.1.2:53"
		if lines := fmt.Sprint(w.Destinations()); !strings.Contains(lines, want) || !strings.Contains(lines, "other names: 9.9.9.9:53") ||
			!strings.Contains(lines, "stub domain db.us-east.svc.cluster.local: no server (no address for server nosuch.dns.svc.cluster.local: no such Service") {
			t.Errorf("Describe:\n%s", lines)
		}
		if log := w.log.String(); !strings.Contains(log, `where="stub domain us-east.svc.cluster.local: 1.1.1.2:53"`) {
			t.Errorf("not told at --v=2:\n%s", log)
		}
	})
}

// TestReloadOrder: while a change takes effect, no name of a stub domain without
// servers goes to the default servers; and one that is refused changes nothing.
func TestReloadOrder(t *testing.T) {
	w := newWorld(t)
	w.local["a.dns.svc.cluster.local."] = "10.96.0.7"
	refuse := false
	reload := w.cfg.Reload
	during := map[string]string{}
	w.cfg.Reload = func(routes []upstream.Route) error {
		for name := range during {
			w.wantRoute(name, during[name])
		}
		if refuse {
			return errors.New("no")
		}
		return reload(routes)
	}
	w.config(`{"a.test": ["a.dns.svc.cluster.local"]}`)
	during["x.a.test"] = "no such Service" // blocked before the forwarder forgets
	w.config(`{"a.test": ["b.dns.svc.cluster.local"]}`)
	w.local["b.dns.svc.cluster.local."] = "10.96.0.8"
	during["x.a.test"] = "no" // let through after it knows
	w.config(`{"a.test": ["b.dns.svc.cluster.local"]}`)
	w.wantRoute("x.a.test", "stub")
	refuse, during = true, nil
	w.config(`{"x.test": ["1.1.1.1"]}`)
	w.wantRoute("x.a.test", "stub")
	w.wantRoute("x.x.test", "default")
	if !strings.Contains(w.log.String(), "cannot apply new servers; keeping the previous ones") {
		t.Errorf("not told:\n%s", w.log.String())
	}
}

// TestRouteAllocatesNothing: both run for every question.
func TestRouteAllocatesNothing(t *testing.T) {
	w := newWorld(t)
	w.config(`{"us-east.svc.cluster.local": ["1.1.1.2"], "corp.example": ["nosuch.dns.svc.cluster.local"]}`)
	for _, text := range []string{"a.b.c.svc.cluster.local", "x.us-east.svc.cluster.local", "x.corp.example", "example"} {
		name := []byte(dnsname.MustParse(text))
		if n := testing.AllocsPerRun(100, func() { w.Route(name); w.Delegated(name) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func TestAskServers(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		switch q.Question[0].Name {
		case "ns.example.com.":
			if q.Question[0].Qtype == dns.TypeA {
				rr, _ := dns.NewRR("ns.example.com. 5 IN A 192.0.2.1")
				m.Answer = append(m.Answer, rr)
			}
		case "fail.example.com.":
			m.Rcode = dns.RcodeServerFailure
		default:
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	defer server.Shutdown()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	healthy, dead := conn.LocalAddr().(*net.UDPAddr).AddrPort(), silent.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, servers := range [][]netip.AddrPort{{healthy}, {dead, healthy}} {
		got, err := askServers(t.Context(), servers, dnsname.MustParse("ns.example.com"))
		if err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("asking %v: %v, %v", servers, got, err)
		}
	}
	refused := netip.MustParseAddrPort("127.0.0.1:1")
	if _, err := askServers(t.Context(), []netip.AddrPort{refused}, dnsname.MustParse("ns.example.com")); err == nil || err.Error() != "asking 127.0.0.1:1: connection refused" {
		t.Errorf("asking nobody: %v", err)
	}
	for name, want := range map[string]string{"other.example.com": "does not exist", "fail.example.com": healthy.String()} {
		got, err := askServers(t.Context(), []netip.AddrPort{healthy}, dnsname.MustParse(name))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// pass lets d pass, and what is due then happen.
func pass(d time.Duration) {
	time.Sleep(d + time.Millisecond)
	synctest.Wait()
}

// Whoever creates the Service of a server, or answers for its name, decides how many addresses it
// has. Few of them are used, always the same, and messages stay short.
func TestServerWithVeryManyAddresses(t *testing.T) {
	run(t, func(w *world) {
		var remote, local []string
		for i := range 1000 {
			remote = append(remote, netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}).String())
			local = append(local, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
		}
		w.set(w.remote, "ns.example.", strings.Join(remote, " "))
		w.set(w.local, "dns.corp.svc.cluster.local.", strings.Join(local, " "))
		var domains []string
		for i := range 500 {
			domains = append(domains, fmt.Sprintf(`"d%d.example": ["ns.example"], "l%d.example": ["dns.corp.svc.cluster.local"]`, i, i))
		}
		w.config("{" + strings.Join(domains, ",") + "}")
		time.Sleep(time.Minute)
		synctest.Wait()
		w.mu.Lock()
		first := w.routes
		w.mu.Unlock()
		for line := range strings.Lines(first) {
			if servers := strings.Fields(line)[1:]; len(servers) > maxAddrs || len(servers) == maxAddrs-1 {
				t.Fatalf("%d servers: %s", len(servers), line)
			}
		}
		slices.Reverse(remote)
		w.set(w.remote, "ns.example.", strings.Join(remote, " "))
		time.Sleep(time.Minute)
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.routes != first {
			t.Error("the servers depend on the order of the answer")
		}
		for line := range strings.Lines(w.log.String()) {
			if len(line) > 1000 {
				t.Errorf("a message of %d octets: %.300s", len(line), line)
			}
		}
	})
}
