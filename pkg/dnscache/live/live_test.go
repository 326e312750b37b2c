package live

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/logtest"
)

func serverTexts(servers []options.Server) string {
	var texts []string
	for _, s := range servers {
		texts = append(texts, s.String())
	}
	return strings.Join(texts, " ")
}

// TestLiveDirectory uses examples of what dnsmasq-nanny turns into arguments of dnsmasq.
func TestLiveDirectory(t *testing.T) {
	dir := t.TempDir()
	logger, text := logtest.Logger(t)
	nanny := options.NannyDefaults()
	nanny.ConfigDir, nanny.SyncInterval = dir, time.Millisecond
	down := false
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "ns.foo.com" || down {
			return nil, errors.New("no such host")
		}
		return addrs("127.0.0.7 127.0.0.8"), nil
	}
	s := New(Config{Nanny: nanny, Lookup: lookup, Logger: logger})
	read := func() string {
		s.poller.Load()
		c, _ := s.config(t.Context(), true)
		return strings.TrimSpace(serverTexts(c.Servers) + map[bool]string{true: " no-resolv"}[c.Upstream])
	}
	if got := read(); got != "" {
		t.Errorf("an empty directory gives %q", got)
	}
	dnstest.Replace(t, filepath.Join(dir, "stubDomains"), `{"acme.local": ["1.1.1.1"], "widget.local": ["2.2.2.2:10053", "3.3.3.3"], "named.local": ["ns.foo.com"], "lost.local": ["gone.foo.com"]}`)
	dnstest.Replace(t, filepath.Join(dir, "upstreamNameservers"), `["2.2.2.2:10053", "3.3.3.3", "[2001:db8:3::3]:53"]`)
	want := "/acme.local/1.1.1.1#53 /lost.local/127.0.0.1#10053 /named.local/127.0.0.7#53 /widget.local/2.2.2.2#10053 /widget.local/3.3.3.3#53 2.2.2.2#10053 3.3.3.3#53 2001:db8:3::3#53 no-resolv"
	if got := read(); got != want {
		t.Errorf("servers %q, want %q", got, want)
	}
	if !strings.Contains(text(), `cannot resolve the server of a stub domain domain=lost.local server=gone.foo.com`) {
		t.Errorf("the log does not name the server without address:\n%s", text())
	}
	down = true
	dnstest.Replace(t, filepath.Join(dir, "upstreamNameservers"), `["name.example"]`)
	if got := read(); got != want {
		t.Errorf("after a bad change and a lost lookup: %q, want %q", got, want)
	}
}

// TestClusterZones: names in the zones for which kubedns is asked are looked up there, whatever
// the cluster domain is.
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
		zones := zonesOf(opts.Upstream.Servers, tt.kubedns)
		for host, want := range tt.inside {
			if got := zones.contain(host); got != want {
				t.Errorf("%q: %s is in the cluster: %v, want %v", tt.args, host, got, want)
			}
		}
	}
}

// TestLiveWait: names are looked up again soon while one of them has no address, and frequently
// while one is in the cluster.
func TestLiveWait(t *testing.T) {
	nanny := options.NannyDefaults()
	s := New(Config{Nanny: nanny, Logger: slog.New(slog.DiscardHandler)})
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

// TestLiveNoLeak: if the servers of a stub domain have no address, the servers for all names
// are never asked about the domain.
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
		s := New(Config{Nanny: nanny, Lookup: lookup, Logger: slog.New(slog.DiscardHandler)})
		s.current.StubDomains = map[dnsname.Name][]dnsconfig.Server{
			dnsname.MustParse("corp.example"): {{Name: dnsname.MustParse("ns.foo.com")}},
		}
		c, complete := s.config(t.Context(), true)
		if len(c.Servers) != 1 || complete {
			t.Fatalf("kubedns at %s: %v, complete %v; want one server", kubedns, c.Servers, complete)
		}
		got := c.Servers[0].String() + map[options.ServerKind]string{options.ServerNone: " none"}[c.Servers[0].Kind]
		if got != want {
			t.Errorf("kubedns at %s: %s; want %s", kubedns, got, want)
		}
	}
}

// TestLiveWarns: the failure to look up a name is logged once a minute.
func TestLiveWarns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, text := logtest.Logger(t)
		lookup := func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
		s := New(Config{Nanny: options.NannyDefaults(), Lookup: lookup, Logger: logger})
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
		changeTo string // new upstreamNameservers, written after the first change was applied
		want     []string
	}{
		{"names are looked up after the start", false, "", []string{"/a/127.0.0.7#53"}},
		{"changes count", true, `["127.0.0.5"]`, []string{"/a/127.0.0.7#53", "/a/127.0.0.7#53 127.0.0.5#53"}},
		{"changes do not count without -restartDnsmasq", false, `["127.0.0.5"]`, []string{"/a/127.0.0.7#53"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			logger, _ := logtest.Logger(t)
			nanny := options.NannyDefaults()
			nanny.ConfigDir, nanny.SyncInterval, nanny.ApplyChanges = dir, time.Millisecond, tt.restart
			tries := 0
			lookup := func(context.Context, string) ([]netip.Addr, error) {
				if tries++; tries < 3 {
					return nil, errors.New("not yet")
				}
				return addrs("127.0.0.7"), nil
			}
			s := New(Config{Nanny: nanny, Lookup: lookup, Logger: logger})
			dnstest.Replace(t, filepath.Join(dir, "stubDomains"), `{"a": ["ns.foo.com"]}`)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			first := s.Start(ctx)
			if got := serverTexts(first.Servers); got != "/a/127.0.0.1#10053" || tries != 0 {
				t.Errorf("at first the servers are %s after %d lookups, want kubedns's address and no lookup", got, tries)
			}
			var got []string
			s.Run(ctx, first, func(c servers.Live) {
				got = append(got, serverTexts(c.Servers))
				if len(got) == 1 && tt.changeTo != "" {
					dnstest.Replace(t, filepath.Join(dir, "upstreamNameservers"), tt.changeTo)
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

func addrs(text string) []netip.Addr { return dnstest.Addrs(strings.Fields(text)...) }
