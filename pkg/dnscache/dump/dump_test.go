package dump

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// storedItem returns a cache item with these records, which are given in zone file form. The
// record "" ends the answer section.
func storedItem(t *testing.T, qname string, qtype uint16, rcode int, records ...string) answercache.Item {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(qname, qtype)
	m.Response, m.Rcode = true, rcode
	section := &m.Answer
	for _, text := range append(records, "", ". 60 SOA a. b. 1 2 3 4 60") {
		if text == "" {
			section = &m.Ns
			continue
		}
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, rr)
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c := answercache.New(answercache.Config{Entries: 4})
	q := wire.Query{Flags: wire.FlagRD, Name: []byte(dnsname.MustParse(qname)), Type: qtype, Class: wire.ClassIN}
	var r wire.Reply
	if !wire.ParseReply(packet, &r) || !c.Store(&q, &r, nil, c.Epoch(), 1) {
		t.Fatalf("not stored:\n%v", m)
	}
	var item answercache.Item
	c.Each(func(i answercache.Item) bool {
		item = i
		return true
	})
	return item
}

func TestCacheRows(t *testing.T) {
	const ends = "Thu Jan  1 00:01:00 1970"
	line := func(host, address, flags string) string {
		pad := func(s string, n int) string { return s + strings.Repeat(" ", n-len(s)) }
		return pad(host, 31) + pad(address, 41) + pad(flags, 11) + ends
	}
	const long = "a-name-of-more-than-thirty-characters."
	tests := []struct {
		name    string
		qname   string
		qtype   uint16
		rcode   int
		records []string
		want    []string
	}{
		{"addresses", "a.b.", dns.TypeA, 0, []string{"a.b. 60 A 1.2.3.4", "a.b. 60 A 1.2.3.5"}, []string{
			line("a.b", "1.2.3.4", "4F"), line("a.b", "1.2.3.5", "4F"),
		}},
		{"chain", "a.b.", dns.TypeAAAA, 0, []string{"a.b. 60 CNAME c.d.", "c.d. 60 AAAA ::1"}, []string{
			line("a.b", "c.d", "CF"), line("c.d", "::1", "6F"),
		}},
		{"alias", "a.b.", dns.TypeCNAME, 0, []string{"a.b. 60 CNAME c.d."}, []string{line("a.b", "c.d", "CF")}},
		{"reverse", "4.3.2.1.in-addr.arpa.", dns.TypePTR, 0, []string{"4.3.2.1.in-addr.arpa. 60 PTR a.b."}, []string{line("a.b", "1.2.3.4", "4 R")}},
		{"other type", "a.b.", dns.TypeTXT, 0, []string{"a.b. 60 TXT x"}, []string{line("a.b", "<TXT>", "TF")}},
		{"no such name", "a.b.", dns.TypeA, 3, nil, []string{line("a.b", "", " F   NX")}},
		{"no data", "a.b.", dns.TypeAAAA, 0, nil, []string{line("a.b", "", "6F   N")}},
		{"chain to nothing", "a.b.", dns.TypeA, 3, []string{"a.b. 60 CNAME c.d."}, []string{line("a.b", "c.d", "CF"), line("c.d", "", " F   NX")}},
		{"no reverse name", "4.3.2.1.in-addr.arpa.", dns.TypePTR, 3, nil, []string{line("", "1.2.3.4", "4 R  NX")}},
		{"long name", long, dns.TypeA, 0, []string{long + " 60 A 1.2.3.4"}, []string{line(long[:30], "1.2.3.4", "4F")}},
		{"forged line", `a\010b.`, dns.TypeA, 0, []string{`a\010b. 60 A 1.2.3.4`}, []string{line("<name unprintable>", "1.2.3.4", "4F")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			item := storedItem(t, tt.qname, tt.qtype, tt.rcode, tt.records...)
			var got []string
			for _, r := range itemRows(&item, time.Unix(60, 0).UTC()) {
				got = append(got, r.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostRows(t *testing.T) {
	host := local.HostEntry{
		Names: []dnsname.Name{dnsname.MustParse("a.b"), dnsname.MustParse("a")},
		Addrs: []netip.Addr{netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::1")}, Source: querylog.ConfigSource,
	}
	var got []string
	for _, r := range hostRows(&host) {
		got = append(got, strings.Join(strings.Fields(r.String()), " "))
	}
	want := []string{"a.b 1.2.3.4 4FRI HC", "a.b ::1 6FRI HC", "a 1.2.3.4 4F I HC", "a ::1 6F I HC"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
