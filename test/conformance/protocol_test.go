package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestProtocol tests, with both servers, what a table of names cannot express.
func TestProtocol(t *testing.T) {
	c := startChain(t, "testdata/spec/objects.yaml")
	for name, addr := range map[string]string{"kubedns": c.kubednsAddr, "dnscache": c.dnscacheAddr} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(name+"/"+network, func(t *testing.T) { testProtocol(t, network, addr) })
		}
	}
}

func testProtocol(t *testing.T, network, addr string) {
	t.Helper()
	const web = "kubernetes.default.svc.cluster.local."
	tests := []struct {
		name   string
		change func(*dns.Msg)
		rcode  int
		check  func(*dns.Msg) string
	}{
		{"no EDNS, no OPT", func(q *dns.Msg) { q.Extra = nil }, dns.RcodeSuccess, func(m *dns.Msg) string {
			if m.IsEdns0() != nil {
				return "an OPT for a client that sent none"
			}
			return ""
		}},
		{"EDNS answered", func(*dns.Msg) {}, dns.RcodeSuccess, func(m *dns.Msg) string {
			if o := m.IsEdns0(); o == nil || o.Version() != 0 || o.UDPSize() < 512 {
				return fmt.Sprintf("OPT %v", o)
			}
			return ""
		}},
		{"DO comes back", func(q *dns.Msg) { q.IsEdns0().SetDo() }, dns.RcodeSuccess, func(m *dns.Msg) string {
			if o := m.IsEdns0(); o == nil || !o.Do() {
				return "DO is clear"
			}
			return ""
		}},
		{"EDNS version 1", func(q *dns.Msg) { q.IsEdns0().SetVersion(1) }, dns.RcodeBadVers, func(m *dns.Msg) string {
			if len(m.Answer) != 0 {
				return "an answer beside BADVERS"
			}
			return ""
		}},
		{"opcode UPDATE", func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented, func(m *dns.Msg) string {
			if m.Opcode != dns.OpcodeUpdate {
				return "another opcode came back"
			}
			return ""
		}},
		{"no question", func(q *dns.Msg) { q.Question = nil }, dns.RcodeFormatError, nil},
		{"two questions", func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) }, dns.RcodeFormatError, nil},
		{"RD and CD come back", func(q *dns.Msg) { q.RecursionDesired, q.CheckingDisabled = true, true }, dns.RcodeSuccess, func(m *dns.Msg) string {
			if !m.RecursionDesired || !m.CheckingDisabled {
				return "RD or CD is clear"
			}
			return ""
		}},
		{"class HS", func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassHESIOD }, dns.RcodeRefused, nil},
		{"spelling comes back", func(q *dns.Msg) { q.Question[0].Name = "KuberNetes.Default.SVC.cluster.local." }, dns.RcodeSuccess, func(m *dns.Msg) string {
			if len(m.Answer) != 1 || m.Answer[0].Header().Name != "KuberNetes.Default.SVC.cluster.local." {
				return fmt.Sprint("answer ", m.Answer)
			}
			return ""
		}},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			q := new(dns.Msg)
			q.SetQuestion(web, dns.TypeA)
			q.SetEdns0(1232, false)
			tt.change(q)
			m := exchange(t, network, addr, q)
			if m.Id != q.Id || m.Rcode != tt.rcode {
				t.Errorf("got rcode %s, want %s\n%v", dns.RcodeToString[m.Rcode], dns.RcodeToString[tt.rcode], m)
			}
			if tt.check != nil {
				if fault := tt.check(m); fault != "" {
					t.Errorf("%s\n%v", fault, m)
				}
			}
		})
	}
}

// TestTruncation: an answer that does not fit over UDP is marked as truncated, and is
// complete over TCP.
func TestTruncation(t *testing.T) {
	c := startChain(t, "testdata/large")
	const name = "large.default.svc.cluster.local."
	for _, addr := range []string{c.kubednsAddr, c.dnscacheAddr} {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		m := exchange(t, "udp", addr, q)
		m.Compress = true // as it came
		if packed, err := m.Pack(); err != nil || len(packed) > 512 {
			t.Errorf("%s: %d octets over UDP without EDNS (%v)", addr, len(packed), err)
		}
		if !m.Truncated {
			t.Errorf("%s: 300 addresses over UDP, and TC is clear", addr)
		}
		m = exchange(t, "tcp", addr, q)
		if m.Truncated || len(m.Answer) != 300 {
			t.Errorf("%s: %d addresses over TCP, want 300; TC %v", addr, len(m.Answer), m.Truncated)
		}
	}
}

// TestChaos: the statistics that monitoring tools for dnsmasq read.
func TestChaos(t *testing.T) {
	c := startChain(t, "testdata/spec/objects.yaml")
	value := func(name string) string {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeTXT)
		q.Question[0].Qclass = dns.ClassCHAOS
		m := exchange(t, "udp", c.dnscacheAddr, q)
		if len(m.Answer) != 1 {
			t.Fatalf("%s: %v", name, m)
		}
		return strings.Join(m.Answer[0].(*dns.TXT).Txt, " ")
	}
	if got := value("cachesize.bind."); got != "1000" {
		t.Errorf("cachesize.bind = %s, want 1000", got)
	}
	ask(t, "udp", c.dnscacheAddr, "v4only.default.svc.cluster.local.", dns.TypeA)
	misses := value("misses.bind.")
	ask(t, "udp", c.dnscacheAddr, "v4only.default.svc.cluster.local.", dns.TypeA)
	if got := value("misses.bind."); got != misses {
		t.Errorf("a repeated question counts as a miss: %s, before %s", got, misses)
	}
	if got := value("servers.bind."); !strings.HasPrefix(got, strings.Replace(c.kubednsAddr, ":", "#", 1)+" ") {
		t.Errorf("servers.bind = %s, want %s first", got, c.kubednsAddr)
	}
}

// TestKubednsKilled: cached names are answered all the time, even after their TTL, and normal
// service resumes by itself.
func TestKubednsKilled(t *testing.T) {
	c := startChain(t, "testdata/spec/objects.yaml")
	const known, unknown = "kubernetes.default.svc.cluster.local.", "early.default.svc.cluster.local."
	if m := ask(t, "udp", c.dnscacheAddr, known, dns.TypeA); len(m.Answer) != 1 {
		t.Fatalf("before: %v", m)
	}
	c.kubedns.Kill()
	// Longer than the records' 30 seconds: what is served at the end is stale.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		m := ask(t, "udp", c.dnscacheAddr, known, dns.TypeA)
		if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
			t.Fatalf("while kubedns is dead: %v", m)
		}
	}
	if m := ask(t, "udp", c.dnscacheAddr, unknown, dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("a name that was never asked: %v", m)
	}
	c.startKubedns(t)
	c.dnscache.WaitFor(t, 20*time.Second, "an answer for a new name", func(context.Context) bool {
		m := ask(t, "udp", c.dnscacheAddr, unknown, dns.TypeA)
		return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1
	})
}
