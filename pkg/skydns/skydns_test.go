package skydns

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
)

const (
	nodata = "NOERROR aa\nns cluster.local. 5 SOA min=5"
	nx     = "NXDOMAIN aa\nns cluster.local. 5 SOA min=5"
	failed = "SERVFAIL" // what another server failed to tell is nobody's authoritative answer
)

// TestAnswers checks the tables of docs/reference as far as they concern this
// package. "row" is a row of docs/reference/kubedns.md §16.
func TestAnswers(t *testing.T) {
	up := &upstream{}
	c := newClient(t, Config{
		NegativeTTL: 5 * time.Second, Resolve: up.resolve, Version: "kubedns-test", Hostname: "host-1",
		NameServer: dnsname.MustParse("kube-dns.kube-system.svc.cluster.local."),
	})
	tests := []struct{ name, query, want string }{
		{"row 1", "web.default A", "NOERROR aa\nweb.default.S 30 A 10.96.0.10"},
		{"row 2", "web.default AAAA", nodata},
		{"row 3", "web.default SRV", "NOERROR aa\nweb.default.S 30 SRV 10 100 0 6464633335393634.web.default.S\nad 6464633335393634.web.default.S 30 A 10.96.0.10"},
		{"row 4 TXT", "web.default TXT", nodata},
		{"row 4 MX", "web.default MX", nodata},
		{"row 4 NS", "web.default NS", nodata},
		{"row 4 SOA", "web.default SOA", nodata},
		{"row 4 PTR", "web.default PTR", nodata},
		{"row 4 HTTPS", "web.default HTTPS", nodata},
		{"row 5", "web.default CNAME", nodata},
		{"row 6", "web.default ANY", "NOERROR aa\nweb.default.S 30 HINFO \"RFC8482\" \"\""},
		{"row 6, no such name", "nosuch.default ANY", nx},
		{"row 6, empty non-terminal", "default ANY", nodata},
		{"row 7", "WeB.default.SVC.cluster.LOCAL. A", "NOERROR aa\nWeB.default.SVC.cluster.LOCAL. 30 A 10.96.0.10"},
		{"row 8", "_http._tcp.web.default SRV", "NOERROR aa\n_http._tcp.web.default.S 30 SRV 10 100 80 web.default.S\nad web.default.S 30 A 10.96.0.10"},
		{"row 10", "_dns._udp.web.default SRV", "NOERROR aa\n_dns._udp.web.default.S 30 SRV 10 100 53 web.default.S\nad web.default.S 30 A 10.96.0.10"},
		{"row 11", "_http._tcp.web.default A", "NOERROR aa\n_http._tcp.web.default.S 30 CNAME web.default.S\nweb.default.S 30 A 10.96.0.10"},
		{"row 11, other family", "_http._tcp.web.default AAAA", "NOERROR aa\n_http._tcp.web.default.S 30 CNAME web.default.S\nns cluster.local. 5 SOA min=5"},
		{"row 12", "_http._tcp.web.default CNAME", nodata},
		{"row 12, TXT", "_http._tcp.web.default TXT", nodata},
		{"row 13", "_nope._tcp.web.default SRV", nx},
		{"row 14", "_tcp.web.default SRV", nodata},
		{"row 18", "*.web.default A", "NOERROR aa\n*.web.default.S 30 A 10.96.0.10"},
		{"row 21", "web.* A", "NOERROR aa\nweb.*.S 30 A 10.96.0.10\nweb.*.S 30 A 10.96.0.11"},
		{"row 30 A", "cluster.local. A", nodata},
		{"row 30 NS", "cluster.local. NS", "NOERROR aa\ncluster.local. 3600 NS ns.dns.cluster.local.\nad ns.dns.cluster.local. 30 A 10.96.0.2"},
		{"row 30 DNSKEY", "cluster.local. DNSKEY", nodata},
		{"row 30 TXT", "cluster.local. TXT", nodata},
		{"row 30 ANY", "cluster.local. ANY", "NOERROR aa\ncluster.local. 30 HINFO \"RFC8482\" \"\""},
		{"row 31", "cluster.local. SOA", "NOERROR aa\ncluster.local. 3600 SOA min=5"},
		{"row 31, case", "Cluster.Local. SOA", "NOERROR aa\nCluster.Local. 3600 SOA min=5"},
		{"row 32", "ns.dns.cluster.local. A", "NOERROR aa\nns.dns.cluster.local. 30 A 10.96.0.2"},
		{"row 32, other type", "ns.dns.cluster.local. TXT", nodata},
		{"parent of ns.dns", "dns.cluster.local. A", nodata},
		{"parent of ns.dns, ANY", "dns.cluster.local. ANY", nodata},
		{"beside ns.dns", "x.dns.cluster.local. A", nx},
		{"row 33", "dns-version.cluster.local. TXT", "NOERROR aa\ndns-version.cluster.local. 28800 TXT \"1.1.0\""},
		{"row 33, other type", "dns-version.cluster.local. A", nodata},
		{"row 34 svc", "svc.cluster.local. A", nodata},
		{"row 34 namespace", "default A", nodata},
		{"no such namespace", "nosuch A", nx},
		{"row 35", "nosuch.default A", nx},
		{"row 35 SRV", "nosuch.default SRV", nx},
		{"row 36 A", "dual.default A", "NOERROR aa\ndual.default.S 30 A 10.96.0.20"},
		{"row 36 AAAA", "dual.default AAAA", "NOERROR aa\ndual.default.S 30 AAAA 2001:db8::aaaa:0:0:1"},
		{"row 37, weight after merging", "_http._tcp.dual.default SRV", "NOERROR aa\n_http._tcp.dual.default.S 30 SRV 10 100 80 dual.default.S\nad dual.default.S 30 A 10.96.0.20\nad dual.default.S 30 AAAA 2001:db8::aaaa:0:0:1"},
		{"row 38", "dual.default SRV", "NOERROR aa\ndual.default.S 30 SRV 10 50 0 3666333233373631.dual.default.S\ndual.default.S 30 SRV 10 50 0 6530303737393231.dual.default.S\n" +
			"ad 3666333233373631.dual.default.S 30 A 10.96.0.20\nad 6530303737393231.dual.default.S 30 AAAA 2001:db8::aaaa:0:0:1"},
		{"row 39", "six.default AAAA", "NOERROR aa\nsix.default.S 30 AAAA 2001:db8::5"},
		{"row 41", "noports.default SRV", "NOERROR aa\nnoports.default.S 30 SRV 10 100 0 3465646330366465.noports.default.S\nad 3465646330366465.noports.default.S 30 A 10.96.0.30"},
		{"row 43", "hl.default A", "NOERROR aa\nhl.default.S 30 A 10.0.0.1\nhl.default.S 30 A 10.0.0.2\nhl.default.S 30 A 10.0.0.3"},
		{"row 44", "hl.default AAAA", nodata},
		{"row 45", "hl.default SRV", "NOERROR aa\nhl.default.S 30 SRV 10 33 0 3234633364383235.hl.default.S\nhl.default.S 30 SRV 10 33 0 6661613463623165.hl.default.S\nhl.default.S 30 SRV 10 33 0 pet-0.hl.default.S\n" +
			"ad 3234633364383235.hl.default.S 30 A 10.0.0.1\nad 6661613463623165.hl.default.S 30 A 10.0.0.2\nad pet-0.hl.default.S 30 A 10.0.0.3"},
		{"row 46", "_http._tcp.hl.default SRV", "NOERROR aa\n_http._tcp.hl.default.S 30 SRV 10 33 8080 3234633364383235.hl.default.S\n_http._tcp.hl.default.S 30 SRV 10 33 8080 6661613463623165.hl.default.S\n_http._tcp.hl.default.S 30 SRV 10 33 8080 pet-0.hl.default.S\n" +
			"ad 3234633364383235.hl.default.S 30 A 10.0.0.1\nad 6661613463623165.hl.default.S 30 A 10.0.0.2\nad pet-0.hl.default.S 30 A 10.0.0.3"},
		{"row 47", "pet-0.hl.default A", "NOERROR aa\npet-0.hl.default.S 30 A 10.0.0.3"},
		{"row 49", "pet-0.hl.default SRV", "NOERROR aa\npet-0.hl.default.S 30 SRV 10 100 0 pet-0.hl.default.S\nad pet-0.hl.default.S 30 A 10.0.0.3"},
		{"row 50", "pet-0.hl.default CNAME", nodata},
		{"row 51", "pet-1.hl.default A", nx},
		{"row 55", "pet-0._http._tcp.hl.default SRV", "NOERROR aa\npet-0._http._tcp.hl.default.S 30 SRV 10 100 8080 pet-0.hl.default.S\nad pet-0.hl.default.S 30 A 10.0.0.3"},
		{"row 60", "_p._sctp.hlmix.default SRV", "NOERROR aa\n_p._sctp.hlmix.default.S 30 SRV 10 50 7 a.hlmix.default.S\n_p._sctp.hlmix.default.S 30 SRV 10 50 7 b.hlmix.default.S\nad a.hlmix.default.S 30 A 10.0.2.1\nad b.hlmix.default.S 30 AAAA 2001:db8::22"},
		{"one address with two hostnames", "twice.default A", "NOERROR aa\ntwice.default.S 30 A 10.0.5.1"},

		{"row 61 A", "e1.ext A", "NOERROR aa\ne1.ext.S 30 CNAME ext.example.com.\next.example.com. 30 A 198.51.100.7"},
		{"row 61 AAAA", "e1.ext AAAA", "NOERROR aa\ne1.ext.S 30 CNAME ext.example.com.\next.example.com. 20 AAAA 2001:db8::7"},
		{"row 62", "e1.ext CNAME", "NOERROR aa\ne1.ext.S 30 CNAME ext.example.com."},
		{"row 63", "e1.ext SRV", "NXDOMAIN aa\ne1.ext.S 30 CNAME ext.example.com.\nns example.com. 60 SOA min=60"},
		{"row 64", "e1.ext TXT", "NOERROR aa\ne1.ext.S 30 CNAME ext.example.com.\next.example.com. 30 TXT \"hello\""},
		{"row 64, below", "x.e1.ext A", nx},
		{"row 65, spelling kept", "e2.ext A", "NOERROR aa\ne2.ext.S 30 CNAME Alias.Example.COM.\nAlias.Example.COM. 30 CNAME ext.example.com.\next.example.com. 30 A 198.51.100.7"},
		{"row 67", "enx.ext A", "NXDOMAIN aa\nenx.ext.S 30 CNAME a.nx.example.com.\nns example.com. 60 SOA min=60"},
		{"target without the type", "enodata.ext A", "NOERROR aa\nenodata.ext.S 30 CNAME nodata.example.com.\nns example.com. 60 SOA min=60"},
		{"row 68", "esf.ext A", failed},
		{"upstream dead", "edead.ext A", failed},
		{"upstream talks nonsense", "garbage.ext A", failed},
		{"row 69 A", "ein.ext A", "NOERROR aa\nein.ext.S 30 CNAME web.default.S\nweb.default.S 30 A 10.96.0.10"},
		{"row 69 AAAA", "ein.ext AAAA", "NOERROR aa\nein.ext.S 30 CNAME web.default.S\nns cluster.local. 5 SOA min=5"},
		{"SRV of an external name, with the addresses of its targets", "esrv.ext SRV", "NOERROR aa\nesrv.ext.S 30 CNAME srv.example.com.\n" +
			"srv.example.com. 30 SRV 1 2 3 Host.example.com.\nsrv.example.com. 30 SRV 1 2 3 web.default.S\n" +
			"ad Host.example.com. 300 A 198.51.100.8\nad Host.example.com. 300 AAAA 2001:db8::8"},
		{"row 69 SRV", "ein.ext SRV", "NOERROR aa\nein.ext.S 30 CNAME web.default.S\nweb.default.S 30 SRV 10 100 0 6464633335393634.web.default.S\nad 6464633335393634.web.default.S 30 A 10.96.0.10"},
		{"row 70, itself", "eloop.ext A", "NOERROR aa\neloop.ext.S 30 CNAME eloop.ext.S"},
		{"row 70, two", "l1.ext A", "NOERROR aa\nl1.ext.S 30 CNAME l2.ext.S\nl2.ext.S 30 CNAME l1.ext.S"},
		{"row 72", "emiss.ext A", "NXDOMAIN aa\nemiss.ext.S 30 CNAME nosuch.default.S\nns cluster.local. 5 SOA min=5"},
		{"row 72 CNAME", "emiss.ext CNAME", "NOERROR aa\nemiss.ext.S 30 CNAME nosuch.default.S"},
		{"row 73", "short.ext A", "NXDOMAIN aa\nshort.ext.S 30 CNAME localhost.\nns . 0 SOA min=0"},
		{"external name that leads back", "back.ext A", "NOERROR aa\nback.ext.S 30 CNAME back.example.com.\nback.example.com. 25 CNAME web.default.S\nweb.default.S 25 A 10.96.0.10"},
		{"external name of ours", "ens.ext A", "NOERROR aa\nens.ext.S 30 CNAME ns.dns.cluster.local.\nns.dns.cluster.local. 30 A 10.96.0.2"},
		{"eight in a row", "c1.chain A", "NOERROR aa\nc1.chain.S 30 CNAME c2.chain.S\nc2.chain.S 30 CNAME c3.chain.S\nc3.chain.S 30 CNAME c4.chain.S\nc4.chain.S 30 CNAME c5.chain.S\n" +
			"c5.chain.S 30 CNAME c6.chain.S\nc6.chain.S 30 CNAME c7.chain.S\nc7.chain.S 30 CNAME c8.chain.S\nc8.chain.S 30 CNAME c9.chain.S\nc9.chain.S 30 A 10.96.0.99"},
		{"nine in a row", "c0.chain A", failed},
		{"row 88", "web.default.myfed A", "NOERROR aa\nweb.default.myfed.S 0 CNAME web.default.S\nweb.default.S 0 A 10.96.0.10"},

		{"row 74", "1-2-3-4.default.pod.cluster.local. A", "NOERROR aa\n1-2-3-4.default.pod.cluster.local. 30 A 1.2.3.4"},
		{"row 75", "1-2-3-4.default.pod.cluster.local. AAAA", nodata},
		{"row 76 SRV", "1-2-3-4.default.pod.cluster.local. SRV", nodata},
		{"row 76 HTTPS", "1-2-3-4.default.pod.cluster.local. HTTPS", nodata},
		{"row 76 DS", "1-2-3-4.default.pod.cluster.local. DS", nodata},

		{"row 81", "10.0.96.10.in-addr.arpa. PTR", "NOERROR aa\n10.0.96.10.in-addr.arpa. 30 PTR web.default.S"},
		{"row 82", "3.0.0.10.in-addr.arpa. PTR", "NOERROR aa\n3.0.0.10.in-addr.arpa. 30 PTR pet-0.hl.default.S"},
		{"row 83", "1.0.0.10.in-addr.arpa. PTR", "NOERROR aa\n1.0.0.10.in-addr.arpa. 30 PTR 3234633364383235.hl.default.S"},
		{"row 85", "10.0.96.10.in-addr.arpa. A", "NOERROR aa\nns 10.0.96.10.in-addr.arpa. 5 SOA min=5"},
		{
			"row 86", "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR",
			"NOERROR aa\n5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 30 PTR six.default.S",
		},
		{"several names of one address", "1.5.0.10.in-addr.arpa. PTR", "NOERROR aa\n1.5.0.10.in-addr.arpa. 30 PTR one.twice.default.S\n1.5.0.10.in-addr.arpa. 30 PTR two.twice.default.S"},
		{"ANY of an address", "10.0.96.10.in-addr.arpa. ANY", "NOERROR aa\n10.0.96.10.in-addr.arpa. 30 HINFO \"RFC8482\" \"\""},
		{"transfer", "cluster.local. AXFR", "REFUSED"},
		{"outside", "example.com. A", "REFUSED nora"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			for _, stream := range []bool{false, true} {
				c.stream = stream
				reply := c.ask(question(t, tt.query).SetEdns0(1232, false))
				if diff := cmp.Diff(strings.Split(tt.want, "\n"), strings.Split(render(reply), "\n")); diff != "" {
					t.Errorf("%s (tcp %v): -want +got:\n%s", tt.query, stream, diff)
				}
			}
		})
	}
}

// TestPortOfHeadless: asked for addresses, the name of a port of a headless
// Service, and every name below it, has those of all endpoints that serve the
// port, and no others.
func TestPortOfHeadless(t *testing.T) {
	f := newFixture(t)
	f.add(t, headless("default", "odd"),
		slice([]records.Port{tcp("http", 80), {Name: "http", Protocol: records.UDP, Number: 80}}, "10.0.7.1", "10.0.7.2=a", "2001:db8::72=a"),
		slice([]records.Port{tcp("http", 8080)}, "10.0.7.3", "10.0.7.2=b", "2001:db8::74"))
	c := newClient(t, Config{Backend: f})
	aaaa := func(name, addr string) string { return "\n" + name + ".S 30 AAAA " + addr }
	list := func(name string, addrs ...string) string {
		text := "NOERROR aa"
		for _, addr := range addrs {
			text += "\n" + name + ".S 30 A " + addr
		}
		return text
	}
	const soa = "\nns cluster.local. 0 SOA min=0"
	for _, tt := range []struct{ name, qtype, want string }{
		{"_p._sctp.hlmix.default", "A", list("_p._sctp.hlmix.default", "10.0.2.1")},
		{"_p._sctp.hlmix.default", "AAAA", "NOERROR aa" + aaaa("_p._sctp.hlmix.default", "2001:db8::22")},
		{"b._p._sctp.hlmix.default", "A", "NOERROR aa" + soa},
		{"b._p._sctp.hlmix.default", "AAAA", "NOERROR aa" + aaaa("b._p._sctp.hlmix.default", "2001:db8::22")},
		{"_http._tcp.hl.default", "A", list("_http._tcp.hl.default", "10.0.0.1", "10.0.0.2", "10.0.0.3")},
		{"_http._tcp.hl.default", "AAAA", "NOERROR aa" + soa},
		{"_http._tcp.hl.default", "TXT", "NOERROR aa" + soa},
		{"pet-0._http._tcp.hl.default", "A", list("pet-0._http._tcp.hl.default", "10.0.0.3")},
		{"*._http._tcp.hl.default", "A", list("*._http._tcp.hl.default", "10.0.0.1", "10.0.0.2", "10.0.0.3")},
		{"_http._tcp.*.default", "A", list("_http._tcp.*.default", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.7.1", "10.0.7.2", "10.0.7.3", "10.96.0.10", "10.96.0.20")},
		{"_http._udp.odd.default", "A", list("_http._udp.odd.default", "10.0.7.1", "10.0.7.2")},
		{"_http._udp.odd.default", "AAAA", "NOERROR aa" + aaaa("_http._udp.odd.default", "2001:db8::72")},
		{"_http._tcp.odd.default", "A", list("_http._tcp.odd.default", "10.0.7.1", "10.0.7.2", "10.0.7.3")},
		{"_http._tcp.odd.default", "AAAA", "NOERROR aa" + aaaa("_http._tcp.odd.default", "2001:db8::72") + aaaa("_http._tcp.odd.default", "2001:db8::74")},
		{"a._http._tcp.odd.default", "AAAA", "NOERROR aa" + aaaa("a._http._tcp.odd.default", "2001:db8::72")},
		{"b._http._udp.odd.default", "A", "NXDOMAIN aa" + soa},
	} {
		for range 8 { // where the rotation begins is random
			if got := render(c.ask(question(t, tt.name+" "+tt.qtype))); got != tt.want {
				t.Errorf("%s %s: got %q, want %q", tt.name, tt.qtype, got, tt.want)
				break
			}
		}
	}
}
