package nslookup

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// patient is a Command for servers that answer, however busy the machine is.
func patient() Command {
	return Command{ResolvConf: "/nonexistent", TryTimeout: 10 * time.Second, Tries: 3}
}

// call runs the command and returns exit code, output and errors.
func call(t *testing.T, c Command, args ...string) (int, string, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code := c.Run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

const kubernetes = "kubernetes.default.svc.cluster.local."

func cluster(t *testing.T) *scripted {
	t.Helper()
	return newScripted(t, zone(t, map[string][]string{
		kubernetes + " A":               {kubernetes + " 30 IN A 10.96.0.1"},
		"dual.test. A":                  {"dual.test. 30 IN A 10.96.0.20", "dual.test. 30 IN A 10.96.0.21"},
		"dual.test. AAAA":               {"dual.test. 30 IN AAAA fd00::20"},
		"six.test. AAAA":                {"six.test. 30 IN AAAA fd00::6"},
		"alias.test. A":                 {"alias.test. 30 IN CNAME mid.test.", "mid.test. 30 IN CNAME dual.test.", "dual.test. 30 IN A 10.96.0.20"},
		"alias.test. AAAA":              {"alias.test. 30 IN CNAME mid.test.", "mid.test. 30 IN CNAME dual.test."},
		"dangling.test. A":              {"dangling.test. 30 IN CNAME gone.test."},
		"loop.test. A":                  {"loop.test. 30 IN CNAME pool.test.", "pool.test. 30 IN CNAME loop.test."},
		"foreign.test. A":               {"other.test. 30 IN A 10.96.0.66"},
		"_http._tcp.web.test. SRV":      {"_http._tcp.web.test. 30 IN SRV 10 33 80 web.test."},
		"txt.test. TXT":                 {`txt.test. 30 IN TXT "1.1.0"`},
		"mail.test. MX":                 {"mail.test. 30 IN MX 5 mx.test."},
		"zone.test. NS":                 {"zone.test. 30 IN NS ns.zone.test."},
		"zone.test. SOA":                {"zone.test. 30 IN SOA ns.zone.test. hostmaster.zone.test. 7 28800 7200 604800 5"},
		"alias.test. CNAME":             {"alias.test. 30 IN CNAME mid.test."},
		"caa.test. CAA":                 {`caa.test. 30 IN CAA 0 issue "x"`},
		"1.0.96.10.in-addr.arpa. PTR":   {"1.0.96.10.in-addr.arpa. 30 IN PTR " + kubernetes},
		reverse6("fd00::20") + " PTR":   {reverse6("fd00::20") + " 30 IN PTR dual.test."},
		"kubernetes.default.search1. A": {"kubernetes.default.search1. 30 IN A 10.96.0.1"},
	}))
}

func reverse6(addr string) string {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		panic(err)
	}
	return name
}

func TestAnswers(t *testing.T) {
	s := cluster(t)
	header := fmt.Sprintf("Server:\t\t127.0.0.1\nAddress:\t%v\n\n", s.addr)
	tests := []struct {
		args string
		want string
	}{
		{kubernetes, "Name:\tkubernetes.default.svc.cluster.local\nAddress: 10.96.0.1\n\n"},
		{"kubernetes.default.svc.cluster.local", "Name:\tkubernetes.default.svc.cluster.local\nAddress: 10.96.0.1\n\n"},
		{"dual.test", "Name:\tdual.test\nAddress: 10.96.0.20\nName:\tdual.test\nAddress: 10.96.0.21\n\nName:\tdual.test\nAddress: fd00::20\n\n"},
		{"six.test", "Name:\tsix.test\nAddress: fd00::6\n\n"},
		{"alias.test", "alias.test\tcanonical name = mid.test\nmid.test\tcanonical name = dual.test\nName:\tdual.test\nAddress: 10.96.0.20\n\n"},
		{"-type=cname alias.test", "alias.test\tcanonical name = mid.test\n\n"},
		{"-type=srv _http._tcp.web.test", "_http._tcp.web.test\tservice = 10 33 80 web.test\n\n"},
		{"-type=txt txt.test", "txt.test\ttext = \"1.1.0\"\n\n"},
		{"-type=mx mail.test", "mail.test\tmail exchanger = 5 mx.test\n\n"},
		{"-type=ns zone.test", "zone.test\tnameserver = ns.zone.test\n\n"},
		{"-type=soa zone.test", "zone.test\n\torigin = ns.zone.test\n\tmail addr = hostmaster.zone.test\n\tserial = 7\n\trefresh = 28800\n\tretry = 7200\n\texpire = 604800\n\tminimum = 5\n\n"},
		{"-type=caa caa.test", "caa.test.\t30\tIN\tCAA\t0 issue \"x\"\n\n"},
		{"10.96.0.1", "1.0.96.10.in-addr.arpa\tname = kubernetes.default.svc.cluster.local\n\n"},
		{"fd00::20", strings.TrimSuffix(reverse6("fd00::20"), ".") + "\tname = dual.test\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, out, errs := call(t, patient(), append(strings.Fields(tt.args), s.addr.String())...)
			if code != 0 || errs != "" {
				t.Fatalf("exit %d, errors %q", code, errs)
			}
			if diff := cmp.Diff(header+tt.want, out); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	s := cluster(t)
	tests := []struct {
		args string
		want string
	}{
		{"nx.test", "can't resolve 'nx.test' at %v: NXDOMAIN"},
		{"txt.test", "can't resolve 'txt.test' at %v: no A or AAAA record"},
		{"-type=A six.test", "can't resolve 'six.test' at %v: no A record"},
		{"dangling.test", "can't resolve 'dangling.test' at %v: no A or AAAA record"},
		{"loop.test", "can't resolve 'loop.test' at %v: no A or AAAA record"},
		{"foreign.test", "can't resolve 'foreign.test' at %v: no A or AAAA record"},
		{"10.96.0.99", "can't resolve '99.0.96.10.in-addr.arpa' at %v: NXDOMAIN"},
		{"kubernetes.default", "can't resolve 'kubernetes.default' at %v: NXDOMAIN"}, // no search list with a server
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			c := patient()
			c.ResolvConf = writeResolvConf(t, "search search1\nnameserver 127.0.0.1\n")
			code, out, errs := call(t, c, append(strings.Fields(tt.args), s.addr.String())...)
			if want := "nslookup: " + fmt.Sprintf(tt.want, s.addr) + "\n"; code != 1 || out != "" || errs != want {
				t.Errorf("exit %d, output %q, errors %q; want 1 and %q", code, out, errs, want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	code, out, errs := call(t, patient())
	if want := "nslookup: missing name\n" + usage + "\n"; code != 1 || out != "" || errs != want {
		t.Errorf("exit %d, output %q, errors %q; want 1 and %q", code, out, errs, want)
	}
}

// TestServerTrouble is about replies that resolve nothing and servers that do
// not reply.
func TestServerTrouble(t *testing.T) {
	rcode := func(rcode int) script {
		return func(_ bool, q *dns.Msg) [][]byte { return pack(t, reply(t, q, rcode)) }
	}
	tests := []struct {
		name string
		do   script
		want string
	}{
		{"servfail", rcode(dns.RcodeServerFailure), "SERVFAIL"},
		{"refused", rcode(dns.RcodeRefused), "REFUSED"},
		{"strange rcode", rcode(14), "RCODE14"},
		{"silent", func(bool, *dns.Msg) [][]byte { return nil }, "connection timed out, no answer"},
		{"error without question", func(_ bool, q *dns.Msg) [][]byte {
			m := reply(t, q, dns.RcodeFormatError)
			m.Question = nil
			return pack(t, m)
		}, "FORMERR"},
		{"one family fails, the other is absent", func(_ bool, q *dns.Msg) [][]byte {
			if q.Question[0].Qtype == dns.TypeA {
				return pack(t, reply(t, q, dns.RcodeServerFailure))
			}
			return pack(t, reply(t, q, dns.RcodeSuccess))
		}, "SERVFAIL"},
		{"truncated for ever", func(_ bool, q *dns.Msg) [][]byte {
			m := reply(t, q, dns.RcodeSuccess)
			m.Truncated = true
			m.Question[0].Name = "x.test."
			return pack(t, m)
		}, "no A or AAAA record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, tt.do)
			c := patient()
			if tt.name == "silent" {
				c.TryTimeout = 50 * time.Millisecond
			}
			code, _, errs := call(t, c, "x.test", s.addr.String())
			if want := fmt.Sprintf("nslookup: can't resolve 'x.test' at %v: %s\n", s.addr, tt.want); code != 1 || errs != want {
				t.Errorf("exit %d, errors %q; want 1 and %q", code, errs, want)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	server := "127.0.0.1:" + deadPort(t)
	c := Command{ResolvConf: "/nonexistent", TryTimeout: time.Hour} // must not wait for a try to pass
	code, _, errs := call(t, c, "x.test", server)
	if want := "nslookup: can't resolve 'x.test' at " + server + ": connection refused\n"; code != 1 || errs != want {
		t.Errorf("exit %d, errors %q; want 1 and %q", code, errs, want)
	}
}

// TestStrays: packets that are no reply to the question neither resolve it nor
// end the wait for the right one.
func TestStrays(t *testing.T) {
	forged := func(change func(*dns.Msg)) func(*testing.T, *dns.Msg) []byte {
		return func(t *testing.T, q *dns.Msg) []byte {
			t.Helper()
			m := reply(t, q, dns.RcodeSuccess, "x.test. 30 IN A 10.6.6.6")
			change(m)
			return pack(t, m)[0]
		}
	}
	tests := []struct {
		name  string
		stray func(*testing.T, *dns.Msg) []byte
	}{
		{"another id", forged(func(m *dns.Msg) { m.Id++ })},
		{"a question", forged(func(m *dns.Msg) { m.Response = false })},
		{"another name", forged(func(m *dns.Msg) { m.Question[0].Name = "y.test." })},
		{"another type", forged(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT })},
		{"another class", forged(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })},
		{"another opcode", forged(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify })},
		{"two questions", forged(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })},
		{"no question, no error", forged(func(m *dns.Msg) { m.Question = nil })},
		{"noise", func(*testing.T, *dns.Msg) []byte { return []byte("noise") }},
		{"nothing", func(*testing.T, *dns.Msg) []byte { return nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScripted(t, func(_ bool, q *dns.Msg) [][]byte {
				return append([][]byte{tt.stray(t, q)}, pack(t, reply(t, q, dns.RcodeSuccess, "X.TEST. 30 IN A 10.0.0.1"))...)
			})
			code, out, errs := call(t, patient(), "-type=A", "x.test", s.addr.String())
			if code != 0 || !strings.Contains(out, "Address: 10.0.0.1\n") || strings.Contains(out, "10.6.6.6") {
				t.Errorf("exit %d, output %q, errors %q", code, out, errs)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	asked := make(map[uint16]int)
	s := newScripted(t, func(_ bool, q *dns.Msg) [][]byte {
		if asked[q.Question[0].Qtype]++; asked[q.Question[0].Qtype] < 3 {
			return nil
		}
		return pack(t, reply(t, q, dns.RcodeSuccess, "x.test. 30 IN A 10.0.0.1"))
	})
	c := patient()
	c.TryTimeout = time.Second
	code, _, errs := call(t, c, "-type=A", "x.test", s.addr.String())
	if code != 0 {
		t.Errorf("exit %d, errors %q", code, errs)
	}
	if n := len(s.questions()); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
}

func TestTruncatedGoesOverTCP(t *testing.T) {
	s := newScripted(t, func(tcp bool, q *dns.Msg) [][]byte {
		if !tcp {
			m := reply(t, q, dns.RcodeSuccess, "x.test. 30 IN A 10.6.6.6")
			m.Truncated = true
			return pack(t, m)
		}
		var records []string
		for i := range 60 {
			records = append(records, fmt.Sprintf("x.test. 30 IN A 10.0.0.%d", i+1))
		}
		return pack(t, reply(t, q, dns.RcodeSuccess, records...))
	})
	code, out, errs := call(t, patient(), "-type=A", "x.test", s.addr.String())
	if n := strings.Count(out, "Address: 10.0.0."); code != 0 || n != 60 || strings.Contains(out, "10.6.6.6") {
		t.Errorf("exit %d, %d addresses, errors %q; want 60 from TCP only", code, n, errs)
	}
}

func TestTruncatedWithoutTCP(t *testing.T) {
	s := newScripted(t, func(tcp bool, q *dns.Msg) [][]byte {
		if tcp {
			return nil
		}
		m := reply(t, q, dns.RcodeSuccess, "x.test. 30 IN A 10.6.6.6")
		m.Truncated = true
		return pack(t, m)
	})
	code, out, errs := call(t, patient(), "-type=A", "x.test", s.addr.String())
	if code != 1 || out != "" || !strings.Contains(errs, "reply truncated; over TCP: ") {
		t.Errorf("exit %d, output %q, errors %q; want a failure that names TCP", code, out, errs)
	}
}

// TestSilentFamily: an answer to A does not wait for the whole timeout of a
// server that never answers AAAA.
func TestSilentFamily(t *testing.T) {
	s := newScripted(t, func(_ bool, q *dns.Msg) [][]byte {
		if q.Question[0].Qtype == dns.TypeAAAA {
			return nil
		}
		return pack(t, reply(t, q, dns.RcodeSuccess, "x.test. 30 IN A 10.0.0.1"))
	})
	c := Command{ResolvConf: "/nonexistent", TryTimeout: 20 * time.Millisecond, Tries: 100000}
	code, out, errs := call(t, c, "x.test", s.addr.String()) // call gives up after a minute
	if code != 0 || !strings.Contains(out, "Address: 10.0.0.1\n") {
		t.Errorf("exit %d, output %q, errors %q", code, out, errs)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	s := newScripted(t, func(bool, *dns.Msg) [][]byte { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var out, errs bytes.Buffer
	c := Command{ResolvConf: "/nonexistent", TryTimeout: time.Hour} // the hang guard
	if code := c.Run(ctx, []string{"x.test", s.addr.String()}, &out, &errs); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
}

func TestNonAuthoritative(t *testing.T) {
	s := newScripted(t, func(_ bool, q *dns.Msg) [][]byte {
		m := reply(t, q, dns.RcodeSuccess, "x.test. 30 IN A 10.0.0.1")
		m.Authoritative = false
		return pack(t, m)
	})
	_, out, _ := call(t, patient(), "-type=A", "x.test", s.addr.String())
	if !strings.Contains(out, "\n\nNon-authoritative answer:\nName:\tx.test\n") {
		t.Errorf("output %q", out)
	}
}
