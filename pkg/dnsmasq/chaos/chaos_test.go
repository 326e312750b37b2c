package chaos

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

const rec = "www.example. 30 A 127.1.0.1"

// run makes a forwarder and runs it until the test ends.
func run(t *testing.T, cfg forwarder.Config) *forwarder.Forwarder {
	t.Helper()
	f, err := forwarder.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	dnstest.Run(t, f)
	return f
}

// to asks s about everything, patiently.
func to(s *dnstest.Server, stages ...forwarder.Stage) forwarder.Config {
	return forwarder.Config{
		Upstream: upstream.Config{
			Routes:  []upstream.Route{{Servers: []upstream.Server{{Addr: s.Addr}}}},
			Timeout: dnstest.Hang * 3 / 4, FirstRetry: dnstest.Hang / 4,
		},
		Cache:  answercache.Config{Entries: 1000, FailureTTL: 1},
		Stages: stages,
	}
}

func TestChaos(t *testing.T) {
	s := dnstest.NewServer(t, dnstest.Zone(0, rec))
	cfg := to(s, New("dnscache-1.2"))
	f := run(t, cfg)
	c := dnstest.NewClient(t, f, 2, false)
	for range 3 {
		c.Ask(dnstest.Question("www.example.", dns.TypeA))
	}
	ask := func(text string, qtype uint16) string {
		q := dnstest.Question(text, qtype)
		q.Question[0].Qclass = dns.ClassCHAOS
		m := c.Ask(q)
		if len(m.Answer) == 0 {
			return dnstest.Summary(m)
		}
		txt, ok := m.Answer[0].(*dns.TXT)
		if !ok || txt.Hdr.Class != dns.ClassCHAOS || txt.Hdr.Ttl != 0 || !m.Authoritative {
			t.Errorf("%s: %v", text, m)
			return ""
		}
		return strings.Join(txt.Txt, "|")
	}
	tests := []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"version.bind.", dns.TypeTXT, "dnscache-1.2"},
		{"VERSION.BIND.", dns.TypeANY, "dnscache-1.2"},
		{"cachesize.bind.", dns.TypeTXT, "1000"},
		{"insertions.bind.", dns.TypeTXT, "1"},
		{"evictions.bind.", dns.TypeTXT, "0"},
		{"misses.bind.", dns.TypeTXT, "1"},
		{"hits.bind.", dns.TypeTXT, "8"}, // two from the cache, six of these
		{"auth.bind.", dns.TypeTXT, "0"},
		{"servers.bind.", dns.TypeTXT, strings.ReplaceAll(s.Addr.String(), ":", "#") + " 1 0"},
		{"version.bind.", dns.TypeA, "NOTIMP; rd"},
		{"hostname.bind.", dns.TypeTXT, "NOTIMP; rd"},
		{"example.", dns.TypeTXT, "NOTIMP; rd"},
	}
	for _, test := range tests {
		if got := ask(test.name, test.qtype); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	cfg.Stages = nil // --no-ident
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if got := ask("version.bind.", dns.TypeTXT); got != "NOTIMP; rd" {
		t.Errorf("without identity: %q", got)
	}
}
