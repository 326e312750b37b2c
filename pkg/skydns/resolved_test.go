package skydns

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// replies is a resolver that gives one made-up answer section to every question.
type replies struct {
	tb   testing.TB
	rrs  []dns.RR
	raw  []byte        // a whole message instead of rrs
	took time.Duration // the least that answering with the reply took
}

func (r *replies) resolve(question *wire.Query, done func(*wire.Reply, error)) {
	packed := r.raw
	if packed == nil {
		m := new(dns.Msg).SetQuestion(dnsname.Name(question.Name).String(), question.Type)
		m.Response, m.Answer, m.Compress = true, r.rrs, true
		var err error
		if packed, err = m.Pack(); err != nil {
			r.tb.Fatal(err)
		}
	}
	var reply wire.Reply
	if !wire.ParseReply(packed, &reply) {
		r.tb.Fatalf("the reply cannot be read: %x", packed)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadTime(r.tb)
	done(&reply, nil)
	if took := threadTime(r.tb) - start; r.took == 0 || took < r.took {
		r.took = took
	}
}

func rrs(tb testing.TB, lines ...string) (list []dns.RR) {
	tb.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, rr)
	}
	return list
}

// TestOrderNeverMatters: in whatever order another server gives the records of
// an alias chain, the answer is the same, with the aliases in order and before
// what they lead to, signatures included where the client asked for them.
func TestOrderNeverMatters(t *testing.T) {
	const sig = " 300 IN RRSIG %s 8 3 300 20300101000000 20200101000000 1 example.com. aGVsbG8="
	chain := []string{
		"ext.example.com. 300 IN CNAME b.example.com.", "ext.example.com." + fmt.Sprintf(sig, "CNAME"),
		"b.example.com. 20 IN CNAME C.example.com.", "b.example.com." + fmt.Sprintf(sig, "CNAME"),
		"c.example.com. 300 IN CNAME d.example.net.", "c.example.com." + fmt.Sprintf(sig, "CNAME"),
	}
	for qtype, data := range map[string][]string{
		"A": {"192.0.2.1", "192.0.2.2"}, "AAAA": {"2001:db8::1"}, "SRV": {"1 2 3 a.example.", "1 2 4 b.example."},
		"TXT": {`"one"`, `"two"`}, "MX": {"10 mail.example."}, "HTTPS": {"1 . alpn=h2"}, "CAA": {`0 issue "ca.example"`},
	} {
		lines := slices.Clone(chain)
		for _, d := range data {
			lines = append(lines, "d.example.net. 300 IN "+qtype+" "+d)
		}
		lines = append(lines, "d.example.net."+fmt.Sprintf(sig, qtype))
		all := rrs(t, append(lines, "d.example.net. 300 IN NS ns.example.", "other.example. 300 IN "+qtype+" "+data[0], "z.example. 300 IN CNAME ext.example.com.")...)
		up := &replies{tb: t}
		c := newClient(t, Config{Resolve: up.resolve})
		for _, do := range []bool{false, true} {
			want := ""
			for round := range 60 {
				up.rrs = slices.Clone(all)
				if round > 0 {
					rand.Shuffle(len(up.rrs), func(i, j int) { up.rrs[i], up.rrs[j] = up.rrs[j], up.rrs[i] })
				}
				reply := c.ask(question(t, "e1.ext "+qtype).SetEdns0(1232, do))
				var got []string
				for _, rr := range reply.Answer {
					got = append(got, rr.String())
				}
				for i, rr := range got { // RRsets in order, records within one in any
					if !strings.Contains(rr, "CNAME") {
						slices.Sort(got[i:])
						break
					}
				}
				if do { // signatures stand behind what they sign: compare as sets, but for the aliases
					var aliases []string
					for _, rr := range got {
						if strings.Contains(rr, "IN\tCNAME") {
							aliases = append(aliases, rr)
						}
					}
					slices.Sort(got)
					got = append(got, aliases...)
				}
				text := strings.Join(got, "\n")
				if want == "" {
					want = text
					records := 4 + len(data)
					if do {
						records += 4 + 4
					}
					if len(got) != records || reply.Rcode != dns.RcodeSuccess {
						t.Fatalf("%s, DO %v: %d records, want %d:\n%v", qtype, do, len(got), records, reply)
					}
				}
				if text != want {
					t.Fatalf("%s, DO %v, given as\n%v\ngot\n%s\nwant\n%s", qtype, do, up.rrs, text, want)
				}
			}
		}
	}
}

// TestDNAMEsStay: an alias that was synthesized from a DNAME record comes with that record, and
// with its signature if the client asked for signatures, in whatever order they were given. A
// validator needs them, because such an alias has no signature of its own (RFC 6672 §5.3.1).
func TestDNAMEsStay(t *testing.T) {
	const sig = " 300 IN RRSIG %s 8 2 300 20300101000000 20200101000000 1 example.com. aGVsbG8="
	up := &replies{tb: t}
	c := newClient(t, Config{Resolve: up.resolve})
	for _, do := range []bool{false, true} {
		want := []string{"example.com. DNAME", "example.com. RRSIG", "ext.example.com. CNAME", "z.example. DNAME", "ext.z.example. CNAME", "ext.y.example. A", "ext.y.example. RRSIG"}
		if !do {
			want = []string{"example.com. DNAME", "ext.example.com. CNAME", "z.example. DNAME", "ext.z.example. CNAME", "ext.y.example. A"}
		}
		for range 100 {
			up.rrs = rrs(t, "example.com. 300 IN DNAME z.example.", "example.com."+fmt.Sprintf(sig, "DNAME"), "ext.example.com. 300 IN CNAME ext.z.example.",
				"Z.example. 20 IN DNAME y.example.", "ext.z.example. 20 IN CNAME ext.Y.example.", "ext.y.example. 300 IN A 192.0.2.1", "ext.y.example."+fmt.Sprintf(sig, "A"),
				"other.example. 300 IN DNAME w.example.", "le.com. 300 IN DNAME w.example.")
			rand.Shuffle(len(up.rrs), func(i, j int) { up.rrs[i], up.rrs[j] = up.rrs[j], up.rrs[i] })
			reply := c.ask(question(t, "e1.ext A").SetEdns0(1232, do))
			var got []string
			for _, rr := range reply.Answer[1:] {
				got = append(got, strings.ToLower(rr.Header().Name)+" "+dns.TypeToString[rr.Header().Rrtype])
			}
			slices.Sort(got[min(len(got), slices.Index(want, "ext.y.example. A")):]) // in any order
			if !slices.Equal(got, want) {
				t.Fatalf("DO %v, given as\n%v\ngot %q\nwant %q", do, up.rrs, got, want)
			}
		}
	}
}

// TestAliasLoopOutside: following a loop of aliases ends, and the answer has the names found.
func TestAliasLoopOutside(t *testing.T) {
	up := &replies{tb: t, rrs: rrs(t, "b.example.com. 300 IN CNAME ext.example.com.", "ext.example.com. 300 IN CNAME b.example.com.")}
	c := newClient(t, Config{Resolve: up.resolve})
	want := "NOERROR aa\ne1.ext.S 30 CNAME ext.example.com.\next.example.com. 30 CNAME b.example.com.\nb.example.com. 30 CNAME ext.example.com."
	if got := render(c.ask(question(t, "e1.ext A"))); got != want {
		t.Errorf("got %s", got)
	}
}

// TestReplyWorkIsBounded: no reply of 64 KiB from another server takes long.
func TestReplyWorkIsBounded(t *testing.T) {
	deep := strings.Repeat("a.", 120) + "example.com."
	many := func(n int, line func(i int) string) (list []string) {
		for i := range n {
			list = append(list, line(i))
		}
		return list
	}
	for name, tt := range map[string]struct {
		query string
		lines []string
		rcode int
	}{
		"aliases": {"e1.ext A", many(1500, func(i int) string {
			return fmt.Sprintf("n%d.example.com. 1 IN CNAME n%d.example.com.", i, i+1)
		}), dns.RcodeServerFailure},
		"DNAMEs": {"e1.ext A", many(1500, func(i int) string {
			return fmt.Sprintf("n%d.example.com. 1 IN DNAME n%d.example.com.", i, i+1)
		}), dns.RcodeSuccess},
		"addresses":            {"e1.ext A", many(4000, func(i int) string { return fmt.Sprintf("ext.example.com. 1 IN A 10.0.%d.%d", i>>8, i&255) }), dns.RcodeSuccess},
		"addresses of others":  {"e1.ext A", many(2000, func(i int) string { return fmt.Sprintf("n%d.example.com. 1 IN A 10.0.%d.%d", i, i>>8, i&255) }), -1},
		"addresses, deep name": {"e1.ext A", append(many(4000, func(i int) string { return deep + fmt.Sprintf(" 1 IN A 10.0.%d.%d", i>>8, i&255) }), "ext.example.com. 1 IN CNAME "+deep), dns.RcodeSuccess},
		"targets":              {"e1.ext SRV", many(2200, func(i int) string { return fmt.Sprintf("ext.example.com. 1 IN SRV 1 1 %d t%d.a.", i, i) }), dns.RcodeSuccess},
		"deep mail exchangers": {"e1.ext MX", many(2000, func(i int) string { return fmt.Sprintf("ext.example.com. 1 IN MX %d %s", i, deep) }), dns.RcodeSuccess},
		"texts":                {"e1.ext TXT", many(4000, func(i int) string { return fmt.Sprintf("ext.example.com. 1 IN TXT %d", i) }), dns.RcodeSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			up := &replies{tb: t, rrs: rrs(t, tt.lines...)}
			m := new(dns.Msg).SetQuestion("ext.example.com.", dns.StringToType[tt.query[7:]])
			m.Response, m.Answer, m.Compress = true, up.rrs, true
			var err error
			for len(m.Answer) > 0 {
				if up.raw, err = m.Pack(); err == nil && len(up.raw) < 65000 {
					break
				}
				m.Answer = m.Answer[20:]
			}
			up.rrs = nil
			c := newClient(t, Config{Resolve: up.resolve})
			c.stream = true
			var reply *dns.Msg
			for range 7 {
				reply = c.ask(question(t, tt.query))
			}
			if tt.rcode >= 0 && reply.Rcode != tt.rcode {
				t.Errorf("rcode %d, want %d", reply.Rcode, tt.rcode)
			}
			t.Logf("%d octets, %d answers, TC %v: %v", len(up.raw), len(reply.Answer), reply.Truncated, up.took)
			if up.took > worstSlack*worstBudget && !raceEnabled { // a scan for each alias took 95 ms
				t.Errorf("a reply of %d octets takes %v", len(up.raw), up.took)
			}
		})
	}
}

// TestLargeServiceIsNamedOnce: a Service that is too large even for TCP is named
// in the log, once, and its answers say that they are cut.
func TestLargeServiceIsNamedOnce(t *testing.T) {
	var log bytes.Buffer
	c := newClient(t, Config{Backend: bigBackend(t, 5000), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c.ask(question(t, "big.default A"))
	if log.Len() > 0 {
		t.Errorf("logged for an answer over UDP: %s", &log)
	}
	c.stream = true
	for _, query := range []string{"big.default A", "big.default A", "_http._tcp.big.default SRV", "*.big.default A", "big.default AAAA"} {
		reply := c.ask(question(t, query))
		if want := !strings.HasSuffix(query, "AAAA"); reply.Truncated != want {
			t.Errorf("%s: TC %v, want %v", query, reply.Truncated, want)
		}
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=WARN") ||
		!strings.Contains(text, "namespace=default service=big records=5000") {
		t.Errorf("log: %q", text)
	}
}
