package main

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// storedItem is what a cache tells of an answer with these records, given in
// zone file form; "" for the rest of the line ends the answer section.
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
		*section = append(*section, record(text))
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	c := answercache.New(answercache.Config{Entries: 4})
	q := wire.Query{Flags: wire.FlagRD, Name: []byte(dnsname.MustParse(qname)), Type: qtype, Class: wire.ClassIN}
	var r wire.Reply
	if !wire.ParseReply(packet, &r) || !c.Store(&q, &r, c.Epoch(), 1) {
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
	host := local.Host{
		Names: []dnsname.Name{dnsname.MustParse("a.b"), dnsname.MustParse("a")},
		Addrs: []netip.Addr{netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::1")}, Source: configSource,
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

// TestSignalLogsCache has the table with --log-queries, and not without.
func TestSignalLogsCache(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	const table = `Host {27}Address {34}Flags {6}Expires {18}Source`
	quiet := start(t, "--server="+up.option())
	quiet.answers("a.example")
	quiet.signals <- syscall.SIGUSR1
	quiet.logged(`server .*: queries sent 1, .*`)
	quiet.signals <- syscall.SIGHUP // handled after the first
	quiet.logged(`cleared cache`)
	if text := quiet.log.String(); regexp.MustCompile(table).MatchString(text) {
		t.Errorf("the cache is logged without --log-queries:\n%s", text)
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	replace(t, hosts, "1.2.3.4 again.example\n1.2.3.5 file.example h.example\n1.2.3.4 h.example\n")
	in := start(t, "--log-queries", "--host-record=h.example,1.2.3.4", "--cname=c.example,h.example", "--server="+up.option(), "--no-hosts", "--addn-hosts="+hosts)
	in.answers("a.example")
	in.signals <- syscall.SIGUSR1
	in.logged(table)
	in.logged(`-{30} -{40} -{10} -{24} -{12}`)
	in.logged(`h\.example {22}1\.2\.3\.4 {34}4FRI   HC`)
	in.logged(`c\.example {22}h\.example {32}CF I    C`)
	in.logged(`again\.example {18}1\.2\.3\.4 {34}4F I   H +` + regexp.QuoteMeta(hosts)) // the record's name is that of the address
	in.logged(`file\.example {19}1\.2\.3\.5 {34}4FRI   H +` + regexp.QuoteMeta(hosts))
	in.logged(`a\.example {22}192\.0\.2\.1 {32}4F {9}\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}`)
}
