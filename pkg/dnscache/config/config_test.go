package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// equal compares addresses and prefixes by value.
func equal() cmp.Options {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
}

// TestForwarderConfig checks, option by option, that the forwarder's configuration has the
// value: an option that is declared as implemented must have an effect beyond the parser.
func TestForwarderConfig(t *testing.T) {
	name := dnsname.MustParse
	addr := netip.MustParseAddr
	suffix := func(text string) dnsname.Domain {
		return dnsname.Domain{Match: dnsname.MatchSuffix, Name: name(text)}
	}

	for _, tt := range []struct {
		args string
		want func(p *Plan)
	}{
		{"", func(*Plan) {}},
		{"--cache-size=7", func(p *Plan) { p.resolve.Cache.Entries = 7 }},
		{"--no-negcache", func(p *Plan) { p.resolve.Cache.NoNegative = true }},
		{"--neg-ttl=5", func(p *Plan) { p.resolve.Cache.NegativeTTL = 5 }},
		{"--max-ttl=6", func(p *Plan) { p.resolve.Cache.MaxTTL = 6 }},
		{"--max-cache-ttl=7", func(p *Plan) { p.resolve.Cache.MaxCacheTTL = 7 }},
		{"--min-cache-ttl=8", func(p *Plan) { p.resolve.Cache.MinTTL = 8 }},
		{"--no-round-robin", func(p *Plan) { p.resolve.Cache.RoundRobin = false }},
		{"--no-ident", func(p *Plan) { p.ident = false }},
		{"--use-stale-cache", func(p *Plan) { p.resolve.StaleAtOnce, p.resolve.Cache.StaleFor = true, 86400 }},
		{"--use-stale-cache=0", func(p *Plan) { p.resolve.StaleAtOnce, p.resolve.Cache.StaleFor = true, answercache.Forever }},
		{"--nxdomain-cut", func(p *Plan) { p.resolve.Cache.NXDomainCut = true }},
		{"--serve-stale=24h", func(p *Plan) {
			p.resolve.Cache.StaleFor, p.resolve.Cache.StaleTTL = 86400, 30
		}},
		{"--proxy-dnssec", func(p *Plan) { p.resolve.Cache.KeepAD = true }},
		{"--dns-forward-max=9", func(p *Plan) { p.resolve.InFlight = 9 }},
		{"--edns-packet-max=4096", func(p *Plan) { p.resolve.Upstream.Payload = 4096 }},
		{"--strict-order", func(p *Plan) { p.resolve.Upstream.Strategy = upstream.InOrder }},
		{"--all-servers", func(p *Plan) { p.resolve.Upstream.Strategy = upstream.All }},
		{"--fast-dns-retry=200,3000", func(p *Plan) {
			p.resolve.Upstream.FirstRetry, p.resolve.Upstream.Timeout = 200*time.Millisecond, 3*time.Second
		}},
		{"--fast-dns-retry", func(p *Plan) { p.resolve.Upstream.FirstRetry, p.resolve.Upstream.Timeout = time.Second, maxTimeout }},
		{"--do-0x20-encode", func(p *Plan) { p.resolve.Upstream.MixCase = true }},
		{"--do-0x20-encode --no-0x20-encode", func(*Plan) {}},
		{"--dns-loop-detect", func(p *Plan) { p.resolve.Upstream.DetectLoops = true }},
		{"--query-port=5", func(p *Plan) { p.resolve.Upstream.Port = 5 }},
		{"--min-port=5 --max-port=6", func(p *Plan) { p.resolve.Upstream.MinPort, p.resolve.Upstream.MaxPort = 5, 6 }},
		{"--server=/a/1.2.3.4#5@lo@5.6.7.8#9 --local=/b/ --server=/c/# --address=/d/1.2.3.4 --address=/e/# --address=/f/", func(p *Plan) {
			p.resolve.Upstream.Routes = []upstream.Route{
				{Domain: suffix("a"), Servers: []upstream.Server{{
					Addr: netip.MustParseAddrPort("1.2.3.4:5"), Source: netip.MustParseAddrPort("5.6.7.8:9"), Interface: "lo",
				}}},
				{Domain: suffix("b"), Local: true},
				{Domain: suffix("c"), Standard: true},
				{Domain: suffix("d"), Addrs: addrs("1.2.3.4")},
				{Domain: suffix("e"), Zero: true},
				{Domain: suffix("f"), Local: true},
			}
		}},
		{"--local=//  --local=/*.a/ --local=/*a/", func(p *Plan) {
			p.resolve.Upstream.Routes = []upstream.Route{
				{Domain: dnsname.Domain{Match: dnsname.MatchUnqualified}, Local: true},
				{Domain: dnsname.Domain{Match: dnsname.MatchBelow, Name: name("a")}, Local: true},
				{Domain: dnsname.Domain{Match: dnsname.MatchText, Text: "a"}, Local: true},
			}
		}},
		{"--domain-needed --bogus-priv --filterwin2k", func(p *Plan) {
			p.Filter.Filter = options.Filter{DomainNeeded: true, BogusPriv: true, FilterWin2k: true}
		}},
		{"--filter-A --filter-AAAA --filter-rr=ANY,HTTPS", func(p *Plan) {
			p.Filter.Filter = options.Filter{FilterA: true, FilterAAAA: true, FilterRR: []uint16{255, 65}}
		}},
		{"--stop-dns-rebind --rebind-localhost-ok --rebind-domain-ok=/a/", func(p *Plan) {
			p.Filter.Filter = options.Filter{StopRebind: true, RebindLocalhostOK: true, RebindDomainOK: []dnsname.Domain{suffix("a")}}
		}},
		{"--bogus-nxdomain=1.2.3.4 --ignore-address=5.6.7.0/24", func(p *Plan) {
			p.Filter.BogusNXDomain = []netip.Prefix{netip.MustParsePrefix("1.2.3.4/32")}
			p.Filter.IgnoreAddress = []netip.Prefix{netip.MustParsePrefix("5.6.7.0/24")}
		}},
		{"--alias=1.2.3.0,5.6.7.0,255.255.255.0", func(p *Plan) {
			p.Filter.Aliases = []options.Alias{{First: addr("1.2.3.0"), Last: addr("1.2.3.255"), To: addr("5.6.7.0"), Mask: addr("255.255.255.0"), Masked: true}}
		}},
		{"--local-ttl=77 --host-record=a,b,1.2.3.4,::1,60", func(p *Plan) {
			p.local.TTL = 77
			p.local.Hosts = []local.HostEntry{{Names: []dnsname.Name{name("a"), name("b")}, Addrs: addrs("1.2.3.4 ::1"), TTL: 60, HasTTL: true, Source: "config"}}
		}},
		{"--cname=a,*.b,t,60", func(p *Plan) {
			p.local.CNAMEs = []options.CNAME{
				{Alias: dnsname.Domain{Match: dnsname.MatchSuffix, Name: name("a")}, Target: name("t"), TTL: 60, HasTTL: true},
				{Alias: dnsname.Domain{Match: dnsname.MatchBelow, Name: name("b")}, Target: name("t"), TTL: 60, HasTTL: true},
			}
		}},
		{"--txt-record=a,b,c --ptr-record=p,q --mx-host=m,n,5 --dns-rr=r,65,0001", func(p *Plan) {
			p.local.Records = []options.RecordOption{
				{Name: name("a"), Type: 16, Data: []byte("\x01b\x01c")},
				{Name: name("p"), Type: 12, Data: []byte(name("q"))},
				{Name: name("m"), Type: 15, Data: []byte("\x00\x05" + name("n"))},
				{Name: name("r"), Type: 65, Data: []byte{0, 1}},
			}
		}},
		{"--srv-host=_x._tcp,t,80,1,2 --srv-host=_x._tcp.e --domain=d.e", func(p *Plan) {
			p.local.Records = []options.RecordOption{
				{Name: name("_x._tcp.d.e"), Type: 33, Data: []byte("\x00\x01\x00\x02\x00\x50" + name("t"))},
				{Name: name("_x._tcp.e"), Type: 33, Data: []byte("\x00\x00\x00\x00\x00\x01" + dnsname.Root)},
			}
		}},
		{"--naptr-record=a,1,2,s,x,y,z --caa-record=c,0,issue,v", func(p *Plan) {
			p.local.Records = []options.RecordOption{
				{Name: name("a"), Type: 35, Data: []byte("\x00\x01\x00\x02\x01s\x01x\x01y" + name("z"))},
				{Name: name("c"), Type: 257, Data: []byte("\x00\x05issuev")},
			}
		}},
		{"--synth-domain=a.b,10.0.0.0/24,p-*", func(p *Plan) {
			p.local.Synth = []options.SynthDomain{{Domain: name("a.b"), First: addr("10.0.0.0"), Last: addr("10.0.0.255"), Prefix: "p-", Indexed: true}}
		}},
	} {
		want := Plan{
			resolve: forwarder.Config{
				Upstream: upstream.Config{UDPConfig: upstream.UDPConfig{Payload: 1232}, Routes: []upstream.Route{}},
				Cache:    answercache.Config{Entries: 150, FailureTTL: failureTTL, FailureMaxTTL: failureMaxTTL, StaleRecheck: staleRecheck, RoundRobin: true},
				InFlight: 150, FollowRoutes: true, Complete: true,
			},
			ident: true,
		}
		tt.want(&want)
		o, err := options.Parse(strings.Fields(tt.args), options.NoFiles())
		if err != nil {
			t.Fatalf("%s: %v", tt.args, err)
		}
		got := *New(o, o.Upstream.Servers, nil, &Surroundings{Host: dnsname.MustParse("here")})
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Plan{}), equal()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.args, diff)
		}
	}
}

func TestHostsReachTheForwarder(t *testing.T) {
	o, err := options.Parse(strings.Fields("--host-record=h,1.2.3.4"), options.NoFiles())
	if err != nil {
		t.Fatal(err)
	}
	var b hosts.TableBuilder
	if _, err := b.Read("/f", strings.NewReader("1.2.3.4 a b.c\n"), nil); err != nil {
		t.Fatal(err)
	}
	got := LocalData(&o.Local, b.Table(), &Surroundings{})
	want := []local.HostEntry{{Names: []dnsname.Name{dnsname.MustParse("h")}, Addrs: addrs("1.2.3.4"), Source: "config"}}
	if diff := cmp.Diff(want, got.Hosts, equal()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if got.Files.Len() != 2 {
		t.Errorf("%d names of hosts files, want 2", got.Files.Len())
	}
}

func addrs(text string) []netip.Addr { return dnstest.Addrs(strings.Fields(text)...) }
