package live

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/test/dnstest/logtest"
)

// serversOf returns the addresses of the servers that get questions about name: those of the
// longest domain.
func serversOf(name dnsname.Name, list []options.Server) (addrs []string) {
	longest := -1
	for _, s := range list {
		domain := s.Domain.Name
		if s.Domain.Match == dnsname.MatchAll {
			domain = ""
		} else if !name.HasSuffix(domain) {
			continue
		}
		if len(domain) > longest {
			longest, addrs = len(domain), nil
		}
		if len(domain) == longest && !slices.Contains(addrs, s.Addr.String()) {
			addrs = append(addrs, s.Addr.String())
		}
	}
	return addrs
}

// TestClusterNamesStay: whatever the ConfigMap says, the cluster's names are asked of kubedns
// alone, except those in a stub domain within the cluster, in each way of naming kubedns.
func TestClusterNamesStay(t *testing.T) {
	const kubedns, stub = "127.0.0.1", "192.0.2.1"
	const direct = "--server=/cluster.local/127.0.0.1#10053 --server=/in-addr.arpa/127.0.0.1#10053"
	for flags, outside := range map[string]string{ // the server of other names with upstreamNameservers
		"--server=127.0.0.1#10053 --no-resolv":         kubedns,
		"--server=::1#10053 --no-resolv":               "::1",
		direct:                                         "192.0.2.9",
		direct + " --server=127.0.0.1#10053":           kubedns,
		direct + " --server=/k8s.corp/127.0.0.1#10053": "192.0.2.9",
	} {
		opts, err := options.Parse(strings.Fields(flags), options.NoFiles())
		if err != nil {
			t.Fatal(err)
		}
		for _, upstream := range []string{"", `["192.0.2.9"]`} {
			for _, domain := range []string{"", "local", "cluster.local", "svc.cluster.local", "corp", "east.cluster.local", "ns.svc.cluster.local", "k8s.corp", "svc.k8s.corp"} {
				files := map[string]string{}
				if upstream != "" {
					files["upstreamNameservers"] = upstream
				}
				if domain != "" {
					files["stubDomains"] = `{"` + domain + `": ["` + stub + `"]}`
				}
				c, err := dnsconfig.Parse(files)
				if err != nil {
					t.Fatal(err)
				}
				s := New(Config{Nanny: options.NannyDefaults(), Servers: opts.Upstream.Servers, Logger: slog.New(slog.DiscardHandler)})
				s.current = s.usable(c)
				live, _ := s.config(t.Context(), false)
				all := slices.Concat(opts.Upstream.Servers, live.Servers)
				for name, zone := range map[string]string{"web.default.svc.cluster.local": "cluster.local", "x.ns.svc.cluster.local": "cluster.local", "a.east.cluster.local": "cluster.local", "web.a.svc.k8s.corp": "k8s.corp", "www.example": ""} {
					n, d := dnsname.MustParse(name), dnsname.MustParse(cmp.Or(domain, "none"))
					want := outside
					if upstream == "" && outside != kubedns && outside != "::1" {
						want = "" // those of resolv.conf
					}
					inside := zone != "" && slices.ContainsFunc(s.own.names, func(z dnsname.Name) bool { return z == dnsname.MustParse(zone) })
					if inside {
						want = kubedns
						if strings.Contains(flags, "::1") && d != dnsname.MustParse("local") {
							want = "::1"
						}
					}
					if domain != "" && n.HasSuffix(d) && (!inside || strings.HasSuffix(domain, "."+zone) && domain != "svc."+zone) {
						want = stub
					}
					if got := strings.Join(serversOf(n, all), " "); got != want {
						t.Errorf("%s, stub domain %q, upstreamNameservers %s: %s is asked of %q, want %q", flags, domain, upstream, name, got, want)
					}
				}
			}
		}
	}
}

// TestIgnoredStubDomain: what is not used is in the log, once for each content.
func TestIgnoredStubDomain(t *testing.T) {
	logger, text := logtest.Logger(t)
	opts, err := options.Parse([]string{"--server=127.0.0.1#10053"}, options.NoFiles())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Nanny: options.NannyDefaults(), Servers: opts.Upstream.Servers, Logger: logger})
	c, err := dnsconfig.Parse(map[string]string{"stubDomains": `{"svc.cluster.local": ["192.0.2.1"]}`, "upstreamNameservers": `["192.0.2.9"]`})
	if err != nil {
		t.Fatal(err)
	}
	s.current = s.usable(c)
	for _, want := range []string{"ignoring a stub domain", "domain=svc.cluster.local", "leaving upstreamNameservers to kubedns"} {
		if strings.Count(text(), want) != 1 {
			t.Errorf("the log has %q %d times, want once:\n%s", want, strings.Count(text(), want), text())
		}
	}
	if _, ok := c.StubDomains[dnsname.MustParse("svc.cluster.local")]; !ok {
		t.Error("the configuration that was passed has changed")
	}
}
