package chaos

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/resolver"
)

const rec = "www.example. 30 A 127.1.0.1"

func TestChaos(t *testing.T) {
	s := dnstest.NewServer(t, dnstest.Zone(0, rec))
	cfg := resolver.Ask(s, New("dnscache-1.2"))
	f := resolver.Run(t, cfg)
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
