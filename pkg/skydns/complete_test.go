package skydns

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const clusterSetZone = "clusterset.local."

// newImports is a clusterset zone with one ServiceImport, shop in namespace prod,
// and one without addresses.
func newImports() *fakeBackend {
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(clusterSetZone))}
	for name, hosts := range map[string][]treecache.SetHost{
		"shop": {{Addr: netip.MustParseAddr("10.7.0.1")}}, "noips": nil,
	} {
		path, err := treecache.MakePath(name, "prod")
		if err != nil {
			panic(err)
		}
		f.tree.Replace(treecache.NewSet(&treecache.SetSpec{Path: path, Kind: treecache.ClusterSetIP, TTL: 30, Hosts: hosts}))
	}
	return f
}

// searchFixture is the reference's cluster: see test/conformance/testdata/autopath.
func searchFixture(tb testing.TB) *fakeBackend {
	tb.Helper()
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(zone)), extra: map[dnsname.Name]treecache.Answer{}}
	f.add(tb, clusterIP("ns1", "web", addrs("10.0.0.1")))
	f.add(tb, headless("ns1", "db"), slice([]records.Port{tcp("pg", 5432)}, "10.1.0.1=db-0"))
	f.add(tb, external("ns1", "ext", "ext.example.com"))
	f.add(tb, clusterIP("prod", "web", addrs("10.0.0.2"), tcp("http", 80)))
	f.add(tb, clusterIP("prod", "dual", addrs("10.0.0.3", "fd00::3"), tcp("http", 80)))
	f.add(tb, headless("prod", "db"), slice([]records.Port{tcp("pg", 5432)}, "10.1.1.1=db-0", "10.1.1.2"))
	f.add(tb, clusterIP("dns", "ns", addrs("10.0.0.9")))
	for name, target := range map[string]string{
		"out": "ext.example.com", "in": "web.prod.svc.cluster.local", "in2": "in.prod.svc.cluster.local",
		"inout": "out.prod.svc.cluster.local", "loop": "loop.prod.svc.cluster.local", "lost": "nosuch.prod.svc.cluster.local",
		"back": "back.prod.ns1.svc.cluster.local", "shop": "shop.prod.svc.clusterset.local", "own": "ns.dns.cluster.local",
		"noips": "noips.prod.svc.clusterset.local", "tcp": "_tcp.web.prod.svc.cluster.local",
	} {
		f.add(tb, external("prod", name, target))
	}
	for i := range 9 {
		f.add(tb, external("chain", "c"+string(rune('0'+i)), "c"+string(rune('1'+i))+".chain.svc.cluster.local"))
	}
	f.add(tb, clusterIP("chain", "c9", addrs("10.96.0.99")))
	f.extra[dnsname.MustParse("web.prod.myfed.svc.cluster.local.")] = treecache.ListAnswer([]treecache.Record{
		treecache.AliasRecord(dnsname.MustParse("web.prod.svc.cluster.local."), 0),
	})
	f.extra[dnsname.MustParse("10-1-2-3.prod.pod.cluster.local.")] = treecache.ListAnswer([]treecache.Record{
		treecache.AddressRecord(netip.MustParseAddr("10.1.2.3"), 30),
	})
	return f
}

// searchConfig serves both zones. Everything else is outside.
func searchConfig(tb testing.TB, mode autopath.Mode) Config {
	tb.Helper()
	s := &autopath.Switch{}
	s.Set(autopath.Settings{Mode: mode})
	return Config{
		Backend: searchFixture(tb), NegativeTTL: 5 * time.Second, Autopath: s,
		Others: []Zone{{Domain: dnsname.MustParse(clusterSetZone), Backend: newImports(), SchemaVersion: "1.0.0"}},
	}
}

const (
	plainMissing  = "NXDOMAIN aa\nns cluster.local. 5 SOA min=5"
	missingForNow = "NXDOMAIN aa\nns cluster.local. 0 SOA min=0"
	answered      = "NOERROR aa\n"
)

func TestComplete(t *testing.T) {
	c := newClient(t, searchConfig(t, autopath.Cluster))
	const soa = "\nns cluster.local. 5 SOA min=5"
	for _, tt := range []struct{ query, want string }{
		{"web.prod.ns1 A", answered + "web.prod.ns1.S 5 CNAME web.prod.S\nweb.prod.S 30 A 10.0.0.2"},
		{"web.prod.ns1 AAAA", answered + "web.prod.ns1.S 5 CNAME web.prod.S" + soa},
		{"web.prod.ns1 TXT", answered + "web.prod.ns1.S 5 CNAME web.prod.S" + soa},
		{"web.prod.ns1 CNAME", answered + "web.prod.ns1.S 5 CNAME web.prod.S"},
		{"web.prod.ns1 ANY", missingForNow},
		{"nope.prod.ns1 ANY", plainMissing},
		{"WEB.Prod.ns1 A", answered + "WEB.Prod.ns1.S 5 CNAME web.prod.S\nweb.prod.S 30 A 10.0.0.2"},
		{"dual.prod.ns1 AAAA", answered + "dual.prod.ns1.S 5 CNAME dual.prod.S\ndual.prod.S 30 AAAA fd00::3"},
		{"web.prod.svc.ns1 A", answered + "web.prod.svc.ns1.S 5 CNAME web.prod.S\nweb.prod.S 30 A 10.0.0.2"},
		{"web.prod.svc.cluster.local.ns1 A", answered + "web.prod.Sns1.S 5 CNAME web.prod.S\nweb.prod.S 30 A 10.0.0.2"},
		{"shop.prod.svc.clusterset.local.ns1 A", answered +
			"shop.prod.svc.clusterset.local.ns1.S 5 CNAME shop.prod.svc.clusterset.local.\nshop.prod.svc.clusterset.local. 30 A 10.7.0.1"},
		{"shop.prod.svc.clusterset.local.ns1 AAAA", answered +
			"shop.prod.svc.clusterset.local.ns1.S 5 CNAME shop.prod.svc.clusterset.local.\nns clusterset.local. 5 SOA min=5"},
		{"noips.prod.svc.clusterset.local.ns1 A", plainMissing},
		{"_http._tcp.web.prod.ns1 SRV", answered +
			"_http._tcp.web.prod.ns1.S 5 CNAME _http._tcp.web.prod.S\n_http._tcp.web.prod.S 30 SRV 10 100 80 web.prod.S\nad web.prod.S 30 A 10.0.0.2"},
		{"_http._tcp.web.prod.ns1 A", answered +
			"_http._tcp.web.prod.ns1.S 5 CNAME _http._tcp.web.prod.S\n_http._tcp.web.prod.S 30 CNAME web.prod.S\nweb.prod.S 30 A 10.0.0.2"},
		{"_tcp.web.prod.ns1 A", plainMissing}, // an empty non-terminal
		{"db-0.db.prod.ns1 A", answered + "db-0.db.prod.ns1.S 5 CNAME db-0.db.prod.S\ndb-0.db.prod.S 30 A 10.1.1.1"},
		{"10-1-2-3.prod.pod.ns1 A", answered + "10-1-2-3.prod.pod.ns1.S 5 CNAME 10-1-2-3.prod.pod.cluster.local.\n10-1-2-3.prod.pod.cluster.local. 30 A 10.1.2.3"},
		{"ns.dns.ns1 A", answered + "ns.dns.ns1.S 5 CNAME ns.dns.S\nns.dns.S 30 A 10.0.0.9"}, // svc.Z comes first
		{"cluster.local.ns1 SOA", answered + "cluster.local.ns1.S 5 CNAME cluster.local.\ncluster.local. 3600 SOA min=5"},
		{"cluster.local.ns1 A", answered + "cluster.local.ns1.S 5 CNAME cluster.local." + soa},
		{"dns-version.cluster.local.ns1 TXT", answered + "dns-version.cluster.local.ns1.S 5 CNAME dns-version.cluster.local.\ndns-version.cluster.local. 28800 TXT \"1.1.0\""},

		// What is not completed.
		{"nope.ns1 A", plainMissing},
		{"nope.prod.ns1 A", plainMissing},
		{"db-9.db.ns1 A", plainMissing},
		{"x.web.ns1 A", plainMissing},
		{"api.ext.ns1 A", plainMissing},
		{"web.prod.bare A", plainMissing},
		{"ext.example.com.ns1 A", plainMissing},
		{"*.prod.ns1 A", "NXDOMAIN aa\nns cluster.local. 5 SOA min=5"},
		{"nope.prod A", plainMissing},
		{"api.example.test A", plainMissing},
		{"api.example.test.ns1.svc.cluster.local.ns1 A", plainMissing},
		{"web.prod.ns1.svc.cluster.local.ns1 A", plainMissing}, // would need a second completion
		{"web.prod.ns1.svc.clusterset.local. A", "NXDOMAIN aa\nns clusterset.local. 5 SOA min=5"},

		// External names.
		{"in.prod.ns1 A", answered + "in.prod.ns1.S 5 CNAME in.prod.S\nin.prod.S 30 CNAME web.prod.S\nweb.prod.S 30 A 10.0.0.2"},
		{"in2.prod.ns1 AAAA", answered + "in2.prod.ns1.S 5 CNAME in2.prod.S\nin2.prod.S 30 CNAME in.prod.S\nin.prod.S 30 CNAME web.prod.S" + soa},
		{"shop.prod.ns1 A", answered + "shop.prod.ns1.S 5 CNAME shop.prod.S\nshop.prod.S 30 CNAME shop.prod.svc.clusterset.local.\nshop.prod.svc.clusterset.local. 30 A 10.7.0.1"},
		{"own.prod.ns1 AAAA", answered + "own.prod.ns1.S 5 CNAME own.prod.S\nown.prod.S 30 CNAME ns.dns.cluster.local." + soa},
		{"noips.prod.ns1 A", answered + "noips.prod.ns1.S 5 CNAME noips.prod.S\nnoips.prod.S 30 CNAME noips.prod.svc.clusterset.local.\nns clusterset.local. 5 SOA min=5"},
		{"tcp.prod.ns1 A", answered + "tcp.prod.ns1.S 5 CNAME tcp.prod.S\ntcp.prod.S 30 CNAME _tcp.web.prod.S" + soa},
		{"out.prod.ns1 A", plainMissing},
		{"out.prod.ns1 CNAME", plainMissing}, // existence decides, not the type
		{"inout.prod.ns1 A", plainMissing},
		{"loop.prod.ns1 A", plainMissing},
		{"lost.prod.ns1 A", plainMissing},
		{"back.prod.ns1 A", plainMissing},
		{"c2.chain.ns1 A", answered + "c2.chain.ns1.S 5 CNAME c2.chain.S\nc2.chain.S 30 CNAME c3.chain.S\nc3.chain.S 30 CNAME c4.chain.S\nc4.chain.S 30 CNAME c5.chain.S\n" +
			"c5.chain.S 30 CNAME c6.chain.S\nc6.chain.S 30 CNAME c7.chain.S\nc7.chain.S 30 CNAME c8.chain.S\nc8.chain.S 30 CNAME c9.chain.S\nc9.chain.S 30 A 10.96.0.99"},
		{"c1.chain.ns1 A", plainMissing}, // one more than may be followed

		// Federated names: the TTL is that of what follows.
		{"web.prod.myfed.ns1 A", answered + "web.prod.myfed.ns1.S 0 CNAME web.prod.myfed.S\nweb.prod.myfed.S 0 CNAME web.prod.S\nweb.prod.S 0 A 10.0.0.2"},

		// What exists is answered as ever.
		{"web.ns1 A", answered + "web.ns1.S 30 A 10.0.0.1"},
		{"db-0.db.ns1 A", answered + "db-0.db.ns1.S 30 A 10.1.0.1"},
		{"web.prod A", answered + "web.prod.S 30 A 10.0.0.2"},
	} {
		t.Run(tt.query, func(t *testing.T) {
			for _, stream := range []bool{false, true} {
				c.stream = stream
				m := question(t, tt.query)
				m.SetEdns0(1232, false)
				if got := render(c.ask(m)); got != tt.want {
					t.Errorf("stream %v: got\n%s\nwant\n%s", stream, got, tt.want)
				}
			}
		})
	}
}

func TestCompleteOff(t *testing.T) {
	for _, mode := range []autopath.Mode{autopath.Unset, autopath.Off} {
		cfg := searchConfig(t, mode)
		c := newClient(t, cfg)
		if got := render(c.ask(question(t, "web.prod.ns1 A"))); got != plainMissing {
			t.Errorf("%v: %s", mode, got)
		}
		cfg.Autopath.Set(autopath.Settings{Mode: autopath.Cluster}) // while it runs
		if got := c.ask(question(t, "web.prod.ns1 A")); len(got.Answer) != 2 {
			t.Errorf("switched on: %v", got)
		}
		cfg.Autopath.Set(autopath.Settings{Mode: autopath.Off})
		if got := render(c.ask(question(t, "web.prod.ns1 A"))); got != plainMissing {
			t.Errorf("switched off: %s", got)
		}
	}
}

// If the answer for a name is not known yet, the reply must not be SERVFAIL, which ends the
// search of some resolvers, and must not be cached.
func TestCompleteUnavailable(t *testing.T) {
	cfg := searchConfig(t, autopath.Cluster)
	imports := newImports()
	imports.unsynced = true
	cfg.Others[0].Backend = imports
	c := newClient(t, cfg)
	for _, query := range []string{
		"shop.prod.svc.clusterset.local.ns1 A", "nope.prod.svc.clusterset.local.ns1 AAAA", "clusterset.local.ns1 SOA",
		"dns-version.clusterset.local.ns1 TXT", "shop.prod.ns1 A",
	} {
		if got := render(c.ask(question(t, query))); got != missingForNow {
			t.Errorf("%s: %s", query, got)
		}
	}
	if got := render(c.ask(question(t, "nope.prod.ns1 A"))); got != plainMissing {
		t.Errorf("not in the zone: %s", got)
	}
	whole := searchFixture(t)
	whole.unsynced = true
	c = newClient(t, Config{Backend: whole, Autopath: cfg.Autopath})
	if m := c.ask(question(t, "web.prod.ns1 A")); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("before the cluster is known: %v", m)
	}
}

// Names that belong to a stub domain are not completed, nor are any names after them in the
// search list.
func TestCompleteDelegated(t *testing.T) {
	cfg := searchConfig(t, autopath.Cluster)
	stub := []byte(dnsname.MustParse("prod.svc.cluster.local."))
	cfg.Delegated = func(name []byte) bool { return strings.HasSuffix(string(name), string(stub)) }
	c := newClient(t, cfg)
	for _, query := range []string{"web.prod.ns1 A", "web.prod.svc.ns1 A", "web.prod.svc.cluster.local.ns1 A"} {
		if got := render(c.ask(question(t, query))); got != plainMissing {
			t.Errorf("%s: %s", query, got)
		}
	}
}

// changing is a backend in which a name's answer changes between the look at where it
// leads and the answer.
type changing struct {
	*fakeBackend
	name  dnsname.Name
	left  int // answers to come before the change
	after treecache.Answer
}

func (c *changing) Records(name []byte) treecache.Answer {
	if dnsname.Name(name) == c.name {
		if c.left--; c.left < 0 {
			return c.after
		}
	}
	return c.fakeBackend.Records(name)
}

func TestCompleteWhileItChanges(t *testing.T) {
	outside := treecache.ListAnswer([]treecache.Record{treecache.AliasRecord(dnsname.MustParse("ext.example.com."), 30)})
	for name, after := range map[string]treecache.Answer{"leads outside": outside, "unavailable": {Status: treecache.Unavailable}} {
		cfg := searchConfig(t, autopath.Cluster)
		cfg.Backend = &changing{fakeBackend: searchFixture(t), name: dnsname.MustParse("web.prod.svc.cluster.local."), left: 1, after: after}
		asked := &upstream{}
		cfg.Resolve = asked.resolve
		if got := render(newClient(t, cfg).ask(question(t, "in.prod.ns1 A"))); got != missingForNow {
			t.Errorf("%s: %s", name, got)
		}
		if len(asked.asked) > 0 {
			t.Errorf("%s: %v was asked", name, asked.asked)
		}
	}
}

// An answer that does not fit is cut and marked like any other.
func TestCompleteTruncated(t *testing.T) {
	f := searchFixture(t)
	large := slice(nil)
	for i := range 100 {
		large.Add(records.Endpoint{Addr: netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}), Ready: true})
	}
	f.add(t, headless("prod", "large"), large)
	cfg := searchConfig(t, autopath.Cluster)
	cfg.Backend = f
	c := newClient(t, cfg)
	m := c.ask(question(t, "large.prod.ns1 A"))
	if !m.Truncated || len(m.Answer) < 20 || m.Answer[0].Header().Rrtype != dns.TypeCNAME {
		t.Errorf("%v", m)
	}
	c.stream = true
	if m := c.ask(question(t, "large.prod.ns1 A")); m.Truncated || len(m.Answer) != 101 {
		t.Errorf("%d records, TC %v", len(m.Answer), m.Truncated)
	}
}

// The longest name that can be asked.
func TestCompleteLongest(t *testing.T) {
	c := newClient(t, searchConfig(t, autopath.Cluster))
	x := strings.Repeat("a.", 114) // 255 octets with the rest
	for len(x) > 0 {
		m := new(dns.Msg).SetQuestion(x+"ns1.svc.cluster.local.", dns.TypeA)
		if _, err := m.Pack(); err == nil {
			if got := render(c.ask(m)); got != plainMissing {
				t.Errorf("%d labels: %s", len(x)/2, got)
			}
		}
		x = x[2:]
	}
}

// What is completed allocates no more than what exists.
func TestCompleteAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	c := newClient(t, searchConfig(t, autopath.Cluster))
	for _, query := range []string{
		"web.prod.ns1 A", "web.prod.svc.cluster.local.ns1 AAAA", "in2.prod.ns1 A", "nope.prod.ns1 A", "db-9.db.ns1 A",
		"ext.example.com.ns1 A", "_http._tcp.web.prod.ns1 SRV", "loop.prod.ns1 A",
	} {
		packet, to := hotPacket(t, c, query, true)
		if got := testing.AllocsPerRun(200, func() { c.server.Handle(packet, to, c.buffer[:0]) }); got != 0 {
			t.Errorf("%s: %v allocations, want none", query, got)
		}
	}
}

// BenchmarkComplete compares a completed name with the same name asked in full, and
// what a missing name costs with the mode on and off.
func BenchmarkComplete(b *testing.B) {
	for _, mode := range []autopath.Mode{autopath.Off, autopath.Cluster} {
		c := newClient(b, searchConfig(b, mode))
		for _, query := range []string{"web.prod A", "web.prod.ns1 A", "web.prod.svc.cluster.local.ns1 A", "ext.example.com.ns1 A"} {
			b.Run(mode.String()+"/"+strings.ReplaceAll(query, " ", "_"), func(b *testing.B) {
				packet, to := hotPacket(b, c, query, false)
				b.ReportAllocs()
				for b.Loop() {
					c.server.Handle(packet, to, c.buffer[:0])
				}
			})
		}
	}
}
