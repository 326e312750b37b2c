package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// optionServers parses words of --server.
func optionServers(t *testing.T, words string) []options.Server {
	t.Helper()
	var args []string
	for word := range strings.FieldsSeq(words) {
		args = append(args, "--server="+word)
	}
	o, err := options.Parse(args, options.NoFiles())
	if err != nil {
		t.Fatal(err)
	}
	return o.Upstream.Servers
}

func serverTexts(servers []options.Server) string {
	var texts []string
	for _, s := range servers {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, " ")
}

func TestServerSources(t *testing.T) {
	resolv := addrs("9.9.9.9 8.8.8.8")
	for _, tt := range []struct {
		name    string
		sources serverSources
		want    string
	}{
		{"resolv.conf alone", serverSources{resolv: resolv}, "9.9.9.9#53 8.8.8.8#53"},
		{"no-resolv", serverSources{resolv: resolv, noResolv: true}, ""},
		{"all, each once", serverSources{
			options: optionServers(t, "/a/1.1.1.1 9.9.9.9"),
			file:    optionServers(t, "/a/1.1.1.1 /b/"),
			live:    liveConfig{servers: optionServers(t, "/c/3.3.3.3")},
			resolv:  resolv,
		}, "/a/1.1.1.1#53 9.9.9.9#53 /b/ /c/3.3.3.3#53 8.8.8.8#53"},
		{"upstream servers replace resolv.conf", serverSources{
			options: optionServers(t, "/a/1.1.1.1"),
			live:    liveConfig{servers: optionServers(t, "2.2.2.2#54"), upstream: true},
			resolv:  resolv,
		}, "/a/1.1.1.1#53 2.2.2.2#54"},
	} {
		if got := serverTexts(tt.sources.servers()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestServerLines(t *testing.T) {
	got := serverLines(optionServers(t, "/a.b/127.0.0.1#99 //127.0.0.1#98 /loc/ /std/# 127.0.0.1 // /*wild/127.0.0.1#5 /*.w2/::1#5"))
	want := []string{
		"using nameserver 127.0.0.1#99 for domain a.b",
		"using nameserver 127.0.0.1#98 for unqualified names",
		"using nameserver 127.0.0.1#53",
		"using nameserver 127.0.0.1#5 for domain *wild",
		"using nameserver ::1#5 for domain *.w2",
		"using only locally-known addresses for loc",
		"using standard nameservers for std",
		"using only locally-known addresses for unqualified names",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	var many []options.Server
	for i := range 40 {
		addr := netip.AddrFrom4([4]byte{127, 0, 0, byte(i)})
		many = append(many, options.Server{Addr: addr, Port: 53})
		many = append(many, options.Server{Kind: options.ServerLocal, Domain: dnsname.Domain{Match: dnsname.MatchText, Text: addr.String()}})
	}
	lines := serverLines(many)
	if len(lines) != 30+1+8+1 || lines[30] != "using 10 more nameservers" || lines[39] != "using 32 more local addresses" {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

func TestResolveServers(t *testing.T) {
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "both.example":
			return addrs("::1 127.0.0.9"), nil
		case "none.example":
			return nil, nil
		}
		return nil, errors.New("no such host")
	}
	servers := optionServers(t, "1.2.3.4 both.example#54 /a/both.example@127.0.0.1 none.example bad.example")
	got, err := resolveServers(t.Context(), servers, lookup)
	if want := "1.2.3.4#53 ::1#54 /a/127.0.0.9#53@127.0.0.1"; serverTexts(got) != want {
		t.Errorf("servers %q, want %q", serverTexts(got), want)
	}
	if err == nil || err.Error() != "no address found for none.example, bad.example" {
		t.Errorf("error %v", err)
	}
}

// TestLiveDirectory uses the vectors that dnsmasq-nanny was seen to turn into
// arguments.
func TestLiveDirectory(t *testing.T) {
	dir := t.TempDir()
	log, text := testLog(t)
	nanny := options.NannyDefaults()
	nanny.ConfigDir, nanny.SyncInterval = dir, time.Millisecond
	down := false
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "ns.foo.com" || down {
			return nil, errors.New("no such host")
		}
		return addrs("127.0.0.7 127.0.0.8"), nil
	}
	s := newLiveSource(nanny, lookup, slog.New(&logHandler{log: log, level: slog.LevelInfo}))
	read := func() string {
		s.poller.Load()
		c, _ := s.config(t.Context(), true)
		return strings.TrimSpace(serverTexts(c.servers) + map[bool]string{true: " no-resolv"}[c.upstream])
	}
	if got := read(); got != "" {
		t.Errorf("an empty directory gives %q", got)
	}
	replace(t, filepath.Join(dir, "stubDomains"), `{"acme.local": ["1.1.1.1"], "widget.local": ["2.2.2.2:10053", "3.3.3.3"], "named.local": ["ns.foo.com"], "lost.local": ["gone.foo.com"]}`)
	replace(t, filepath.Join(dir, "upstreamNameservers"), `["2.2.2.2:10053", "3.3.3.3", "[2001:db8:3::3]:53"]`)
	want := "/acme.local/1.1.1.1#53 /lost.local/127.0.0.1#10053 /named.local/127.0.0.7#53 /widget.local/2.2.2.2#10053 /widget.local/3.3.3.3#53 2.2.2.2#10053 3.3.3.3#53 2001:db8:3::3#53 no-resolv"
	if got := read(); got != want {
		t.Errorf("servers %q, want %q", got, want)
	}
	if !strings.Contains(text(), `cannot resolve the server of a stub domain domain=lost.local server=gone.foo.com`) {
		t.Errorf("the log does not name the server without address:\n%s", text())
	}
	down = true
	replace(t, filepath.Join(dir, "upstreamNameservers"), `["name.example"]`)
	if got := read(); got != want {
		t.Errorf("after a bad change and a lost lookup: %q, want %q", got, want)
	}
}

// TestClusterZones: names in the zones that kubedns is asked for are its to
// look up, whatever the cluster domain is.
func TestClusterZones(t *testing.T) {
	for _, tt := range []struct {
		args, kubedns string
		inside        map[string]bool
	}{
		{"", "127.0.0.1:10053", map[string]bool{"stub.dns.svc.cluster.local": true, "ns.example.com": false}},
		{
			"--server=/k8s.corp/127.0.0.1#10053 --server=/in-addr.arpa/127.0.0.1#10053 --server=/other.example/10.0.0.1", "127.0.0.1:10053",
			map[string]bool{"stub.dns.svc.k8s.corp": true, "k8s.corp": true, "xk8s.corp": false, "ns.other.example": false, "stub.dns.svc.cluster.local": false},
		},
		{"--server=/k8s.corp/::1#10053", "localhost:10053", map[string]bool{"stub.dns.svc.k8s.corp": true}},
		{"--server=/k8s.corp/10.1.2.3#53", "10.1.2.3:53", map[string]bool{"stub.dns.svc.k8s.corp": true}},
		{"--server=127.0.0.1#10053", "127.0.0.1:10053", map[string]bool{"stub.dns.svc.cluster.local": true, "ns.example.com": false}},
	} {
		opts, err := options.Parse(strings.Fields(tt.args), options.NoFiles())
		if err != nil {
			t.Fatal(err)
		}
		s := &liveSource{zones: clusterZones(opts.Upstream.Servers, tt.kubedns)}
		for host, want := range tt.inside {
			if got := s.inCluster(host); got != want {
				t.Errorf("%q: %s is in the cluster: %v, want %v", tt.args, host, got, want)
			}
		}
	}
}

// TestLiveWait: names are looked up again soon while one has no address, and
// closely followed in the cluster.
func TestLiveWait(t *testing.T) {
	nanny := options.NannyDefaults()
	s := newLiveSource(nanny, nil, slog.New(slog.DiscardHandler))
	set := func(stubs string) {
		c, err := dnsconfig.Parse(map[string]string{"stubDomains": stubs})
		if err != nil {
			t.Fatal(err)
		}
		s.current = c
	}
	set(`{"a": ["1.2.3.4", "ns.foo.com"]}`)
	if got := s.wait(true); got != nanny.SyncInterval {
		t.Errorf("outside the cluster: again after %v", got)
	}
	if got := s.wait(false); got != nameRetry {
		t.Errorf("without an address: again after %v", got)
	}
	set(`{"a": ["stub.dns.svc.cluster.local"]}`)
	if got := s.wait(true); got != nameFollow {
		t.Errorf("in the cluster: again after %v", got)
	}
	s.nanny.SyncInterval = time.Millisecond
	if got := s.wait(false); got != time.Millisecond {
		t.Errorf("with a short interval: again after %v", got)
	}
}

// TestLiveNoLeak: a stub domain whose servers have no address is never left to
// the servers of all names.
func TestLiveNoLeak(t *testing.T) {
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "known.example" {
			return addrs("127.0.0.7"), nil
		}
		return nil, errors.New("no such host")
	}
	for kubedns, want := range map[string]string{
		"127.0.0.1:10053": "/corp.example/127.0.0.1#10053", "known.example:54": "/corp.example/127.0.0.7#54",
		"lost.example:54": "/corp.example/ none", "nonsense": "/corp.example/ none", "known.example:dns": "/corp.example/ none",
	} {
		nanny := options.NannyDefaults()
		nanny.KubeDNSServer = kubedns
		s := newLiveSource(nanny, lookup, slog.New(slog.DiscardHandler))
		s.current.StubDomains = map[dnsname.Name][]dnsconfig.Server{
			dnsname.MustParse("corp.example"): {{Name: dnsname.MustParse("ns.foo.com")}},
		}
		c, complete := s.config(t.Context(), true)
		if len(c.servers) != 1 || complete {
			t.Fatalf("kubedns at %s: %v, complete %v; want one server", kubedns, c.servers, complete)
		}
		got := c.servers[0].String() + map[options.ServerKind]string{options.ServerNone: " none"}[c.servers[0].Kind]
		if got != want {
			t.Errorf("kubedns at %s: %s; want %s", kubedns, got, want)
		}
	}
}

// TestLiveServerless: questions about such a domain get SERVFAIL with the reason
// until a server has an address, and what is known locally is answered.
func TestLiveServerless(t *testing.T) {
	other := upstreamServer(t, "192.0.2.1", nil)
	stub := upstreamServer(t, "192.0.2.2", nil)
	dir := t.TempDir()
	replace(t, filepath.Join(dir, "stubDomains"), `{"corp.example": ["ns.foo.com"]}`)
	in := start(t, "-configDir="+dir, "-kubednsServer=kubedns.example:10053", "-restartDnsmasq=true", "-syncInterval=50ms", "--",
		"--server="+other.option(), "--host-record=here.corp.example,10.9.9.9")
	for _, name := range []string{"a.corp.example", "corp.example"} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT} {
			q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false)
			reply := in.exchange(q)
			text := reply.IsEdns0().String()
			if reply.Rcode != dns.RcodeServerFailure || !strings.Contains(text, "no server of corp.example has an address yet") {
				t.Errorf("%s: %s, %s; want SERVFAIL with the reason", name, short(reply), text)
			}
		}
	}
	if got := in.answers("here.corp.example"); got != "NOERROR 10.9.9.9" {
		t.Errorf("a local name: %s", got)
	}
	if got := in.answers("x.example"); got != "NOERROR 192.0.2.1" {
		t.Errorf("another name: %s", got)
	}
	if n := other.count("a.corp.example. A"); n != 0 {
		t.Errorf("the other server was asked %d times", n)
	}
	replace(t, filepath.Join(dir, "stubDomains"), fmt.Sprintf(`{"corp.example": [%q]}`, stub.addr))
	eventually(t, "the server counts", func() bool { return in.answers("a.corp.example") == "NOERROR 192.0.2.2" })
}

// TestLiveWarns: a name that cannot be looked up is logged once a minute.
func TestLiveWarns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, text := testLog(t)
		lookup := func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
		s := newLiveSource(options.NannyDefaults(), lookup, slog.New(&logHandler{log: log, level: slog.LevelInfo}))
		c, err := dnsconfig.Parse(map[string]string{"stubDomains": `{"corp.example": ["ns.foo.com"]}`})
		if err != nil {
			t.Fatal(err)
		}
		s.current = c
		for range 121 {
			s.config(t.Context(), true)
			time.Sleep(time.Second)
		}
		if n := strings.Count(text(), "domain=corp.example server=ns.foo.com"); n != 3 {
			t.Errorf("%d warnings in two minutes:\n%s", n, text())
		}
	})
}

func TestLiveRun(t *testing.T) {
	for _, tt := range []struct {
		name     string
		restart  bool
		changeTo string // of upstreamNameservers, when the first change was applied
		want     []string
	}{
		{"names are looked up after the start", false, "", []string{"/a/127.0.0.7#53"}},
		{"changes count", true, `["127.0.0.5"]`, []string{"/a/127.0.0.7#53", "/a/127.0.0.7#53 127.0.0.5#53"}},
		{"changes do not count without -restartDnsmasq", false, `["127.0.0.5"]`, []string{"/a/127.0.0.7#53"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			log, _ := testLog(t)
			nanny := options.NannyDefaults()
			nanny.ConfigDir, nanny.SyncInterval, nanny.ApplyChanges = dir, time.Millisecond, tt.restart
			tries := 0
			lookup := func(context.Context, string) ([]netip.Addr, error) {
				if tries++; tries < 3 {
					return nil, errors.New("not yet")
				}
				return addrs("127.0.0.7"), nil
			}
			s := newLiveSource(nanny, lookup, slog.New(&logHandler{log: log, level: slog.LevelInfo}))
			replace(t, filepath.Join(dir, "stubDomains"), `{"a": ["ns.foo.com"]}`)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			first := s.start(ctx)
			if got := serverTexts(first.servers); got != "/a/127.0.0.1#10053" || tries != 0 {
				t.Errorf("at first the servers are %s after %d lookups, want kubedns's address and no lookup", got, tries)
			}
			var got []string
			s.run(ctx, first, func(c liveConfig) {
				got = append(got, serverTexts(c.servers))
				if len(got) == 1 && tt.changeTo != "" {
					replace(t, filepath.Join(dir, "upstreamNameservers"), tt.changeTo)
				}
				if tt.restart && len(got) == len(tt.want) {
					cancel()
				}
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("applied (-want +got):\n%s", diff)
			}
		})
	}
}
