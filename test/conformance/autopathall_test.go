package conformance

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// internet is the world outside the cluster for --autopath=all. It has the names of the rows
// in all.md; some of their servers fail.
type internet struct {
	addr  string
	mu    sync.Mutex
	asked []string // "name TYPE"
}

// outsideRecords returns the records of all names that exist.
func outsideRecords() []string {
	list := []string{
		"api.example.test. 300 A 192.0.2.1", "api.example.test. 300 AAAA 2001:db8::1",
		"v4.example.test. 300 A 192.0.2.4",
		"onlya.example.test. 300 A 192.0.2.5",
		"mx.example.test. 300 MX 10 mail.example.test.",
		"alias.example.test. 300 CNAME api.example.test.",
		"wiki.corp.internal. 300 A 192.0.2.7", "git.team.corp.internal. 300 A 192.0.2.8",
		"api.example. 300 A 192.0.2.66",
		"half4.example.test. 300 AAAA 2001:db8::9", "half6.example.test. 300 A 192.0.2.9",
		"_x._tcp.example.test. 300 SRV 0 0 1 api.example.test.",
	}
	for i := range 60 {
		list = append(list, fmt.Sprintf("large.example.test. 300 A 192.0.2.%d", i+100))
	}
	return list
}

func startOutside(t *testing.T) *internet {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	for range 20 { // until a port is free for both
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	if l == nil {
		t.Fatal("no port is free")
	}
	o := &internet{addr: pc.LocalAddr().String()}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: o}, {Listener: l, Handler: o}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return o
}

// ServeDNS implements [dns.Handler].
func (o *internet) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	name, typ := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	o.mu.Lock()
	o.asked = append(o.asked, name+" "+dns.TypeToString[typ])
	o.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	switch first, _, _ := strings.Cut(name, "."); {
	case first == "silent", first == "half4" && typ == dns.TypeA, first == "half6" && typ == dns.TypeAAAA, first == "flood":
		return
	case first == "servfail", name == "nope.corp.test.corp.internal.":
		m.Rcode = dns.RcodeServerFailure
	case first == "refused":
		m.Rcode = dns.RcodeRefused
	case first == "onlya" && typ != dns.TypeA:
		m.Rcode = dns.RcodeNameError
	default:
		o.answer(m, name, typ)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && len(m.Answer) > 30 {
		m.Answer, m.Truncated = m.Answer[:0], true
	}
	if m.Rcode == dns.RcodeNameError || m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 {
		zone := "example.test."
		if dns.IsSubDomain("corp.internal.", name) {
			zone = "corp.internal."
		}
		soa, _ := dns.NewRR(zone + " 60 SOA ns." + zone + " h." + zone + " 1 2 3 4 60")
		m.Ns = append(m.Ns, soa)
	}
	_ = w.WriteMsg(m)
}

// answer adds the records of a name, or makes m say that it does not exist.
func (o *internet) answer(m *dns.Msg, name string, typ uint16) {
	exists := false
	for range 2 { // an alias and what it leads to
		next := ""
		for _, text := range outsideRecords() {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			if rr.Header().Name != name {
				continue
			}
			exists = true
			if alias, ok := rr.(*dns.CNAME); ok && typ != dns.TypeCNAME {
				next = alias.Target
			}
			if rr.Header().Rrtype == typ || next != "" {
				m.Answer = append(m.Answer, rr)
			}
		}
		if name = next; next == "" {
			break
		}
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
}

// list returns the questions since the last call, sorted, each once.
func (o *internet) list() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := slices.Compact(slices.Sorted(slices.Values(o.asked)))
	o.asked = nil
	return list
}

func allArgs(o *internet) []string {
	return append(autopathArgs(), "--autopath=all", "--autopath-searches=corp.internal", "--nameservers="+o.addr)
}

// waitForRoutes waits until dnscache knows the routes of kubedns. It learns them from the first
// reply on, and then removes all answers of other servers from its cache.
func waitForRoutes(t *testing.T, o *internet, c *chain) {
	t.Helper()
	for quiet := 0; quiet < 25; quiet++ { // half a second without a question to a server
		ask(t, "udp", c.dnscacheAddr, "mx.example.test.", dns.TypeMX)
		if len(o.list()) > 0 {
			quiet = 0
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The rest of the table, in the mode all: dnscache's answers over UDP and TCP, forwarded and
// cached, and the questions that were sent outside for them.
func TestAutopathAll(t *testing.T) {
	o := startOutside(t)
	c := startChain(t, "testdata/autopath/objects.yaml", allArgs(o)...)
	text, err := os.ReadFile("testdata/autopath/all/rows.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := ParseRows(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		t.Run(row.ID+"/"+row.Name+"/"+dns.TypeToString[row.Type], func(t *testing.T) {
			for _, network := range []string{"udp", "tcp"} {
				for _, round := range []string{"first", "second"} {
					start := time.Now()
					m := ask(t, network, c.dnscacheAddr, row.Name, row.Type)
					if diff := row.Diff(m, true); diff != "" {
						t.Errorf("%s, %s time: %s\n%v", network, round, diff, m)
					}
					if row.AnyAuthority {
						checkSOA(t, m)
					}
					if took := time.Since(start); took > 2*time.Second {
						t.Errorf("%s, %s time: answered after %v", network, round, took)
					}
				}
			}
		})
	}
}

// checkSOA checks that a negative answer is that of the zone outside, or one that must not be
// cached.
func checkSOA(t *testing.T, m *dns.Msg) {
	t.Helper()
	if len(m.Ns) != 1 {
		t.Errorf("%v", m)
		return
	}
	soa, ok := m.Ns[0].(*dns.SOA)
	switch {
	case !ok:
		t.Errorf("%v", m)
	case m.Rcode == dns.RcodeNameError:
		if soa.Hdr.Ttl != 0 || soa.Minttl != 0 || soa.Hdr.Name != "cluster.local." {
			t.Errorf("%v, want TTL and minimum 0", soa)
		}
	case soa.Hdr.Name != "example.test." || soa.Hdr.Ttl > 60:
		t.Errorf("%v, want that of example.test.", soa)
	}
}

// Questions that must not leave the cluster do not leave it.
func TestAutopathAllSendsNothing(t *testing.T) {
	o := startOutside(t)
	c := startChain(t, "testdata/autopath/objects.yaml", allArgs(o)...)
	o.list()
	for _, x := range []string{
		"nope.ns1", "wiki.ns1", "web.prod.ns1", "web.prod.svc.cluster.local.ns1", "nope.prod.svc.cluster.local.ns1", "db-9.db.ns1", "x.web.ns1",
		"api.ext.ns1", "api.example.test.bare", "nope.prod", "api.example.test", "api.example.test.ns1.svc.cluster.local.ns1", "_x._tcp.example.test.ns1",
	} {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV} {
			ask(t, "udp", c.dnscacheAddr, x+".svc.cluster.local.", typ)
		}
	}
	if asked := o.list(); len(asked) > 0 {
		t.Errorf("sent outside: %q", asked)
	}
	ask(t, "udp", c.dnscacheAddr, "nope.example.test.ns1.svc.cluster.local.", dns.TypeA)
	want := []string{"nope.example.test. A", "nope.example.test. AAAA", "nope.example.test.corp.internal. A", "nope.example.test.corp.internal. AAAA"}
	if asked := o.list(); !slices.Equal(asked, want) {
		t.Errorf("sent outside: %q, want %q", asked, want)
	}
}

// In a flood of names whose servers are silent, every question is answered, a bounded number
// of questions leaves the cluster, and names in the cluster are answered meanwhile.
func TestAutopathAllFlood(t *testing.T) {
	o := startOutside(t)
	c := startChain(t, "testdata/autopath/objects.yaml", allArgs(o)...)
	var slow, late atomic.Int64
	var wg sync.WaitGroup
	const workers, each = 50, 100
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				start := time.Now()
				m := ask(t, "udp", c.dnscacheAddr, fmt.Sprintf("flood.a%d.b%d.ns1.svc.cluster.local.", w, i), dns.TypeA)
				if m.Rcode != dns.RcodeNameError {
					t.Errorf("%v", m)
				}
				if took := time.Since(start); took > 2500*time.Millisecond {
					slow.Add(1)
				}
				start = time.Now()
				if m := ask(t, "udp", c.dnscacheAddr, "web.prod.svc.cluster.local.", dns.TypeA); len(m.Answer) != 1 {
					t.Errorf("%v", m)
				}
				if time.Since(start) > time.Second {
					late.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if slow.Load() > 0 || late.Load() > 0 {
		t.Errorf("%d of %d misses and %d answers in the cluster were late", slow.Load(), workers*each, late.Load())
	}
	if n := len(o.list()); n > workers*each/2 {
		t.Errorf("%d names were asked outside for %d misses", n, workers*each)
	}
}

// While kubedns is away, dnscache composes a stale answer of stale entries.
func TestAutopathAllStale(t *testing.T) {
	o := startOutside(t)
	c := startChain(t, "testdata/autopath/objects.yaml", append(allArgs(o), "--negative-ttl=1s")...)
	waitForRoutes(t, o, c)
	const name = "api.example.test.ns1.svc.cluster.local."
	if m := ask(t, "udp", c.dnscacheAddr, name, dns.TypeA); len(m.Answer) != 2 {
		t.Fatalf("%v", m)
	}
	c.kubedns.Kill()
	time.Sleep(2100 * time.Millisecond) // until the end of the negative answer
	m := ask(t, "udp", c.dnscacheAddr, name, dns.TypeA)
	if len(m.Answer) != 2 || m.Answer[0].Header().Rrtype != dns.TypeCNAME || m.Answer[1].Header().Ttl > 300 {
		t.Errorf("%v", m)
	}
}

// dnscache's options apply to the name that is found, and a stub domain's servers are asked
// for it.
func TestAutopathAllOptions(t *testing.T) {
	o, stub := startOutside(t), startOutside(t)
	c := startChain(t, "testdata/autopath/objects.yaml", allArgs(o)...)
	c.dnscache.Kill()
	host, port, err := net.SplitHostPort(stub.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.dnscacheArgs = append(c.dnscacheArgs, "--address=/api.example.test/192.0.2.99", "--local=/git.team.corp.internal/",
		"--server=/v4.example.test/"+host+"#"+port, "--stop-dns-rebind", "--rebind-domain-ok=/cluster.local/v4.example.test/")
	c.startDnscache(t)
	for x, want := range map[string]string{
		"api.example.test": "192.0.2.99", "git.team": "NXDOMAIN", "v4.example.test": "192.0.2.4",
		"onlya.example.test": "NOERROR", // a private address, of a name that may not have one
	} {
		m := ask(t, "udp", c.dnscacheAddr, x+".ns1.svc.cluster.local.", dns.TypeA)
		got := dns.RcodeToString[m.Rcode]
		if n := len(m.Answer); n == 2 {
			got = m.Answer[1].(*dns.A).A.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s\n%v", x, got, want, m)
		}
	}
	if asked := stub.list(); !slices.Equal(asked, []string{"v4.example.test. A", "v4.example.test. AAAA"}) {
		t.Errorf("the stub domain's server was asked %q", asked)
	}
	if asked := o.list(); slices.Contains(asked, "api.example.test. A") || slices.Contains(asked, "v4.example.test. A") {
		t.Errorf("sent outside: %q", asked)
	}
}

// Many clients ask while TTLs expire. No client gets one family without the other, and a
// bounded number of questions is sent outside.
func TestAutopathAllTogether(t *testing.T) {
	o := startOutside(t)
	c := startChain(t, "testdata/autopath/objects.yaml", append(allArgs(o), "--negative-ttl=1s")...)
	waitForRoutes(t, o, c)
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for range 20 {
		wg.Go(func() {
			for time.Now().Before(end) {
				for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
					if m := ask(t, "udp", c.dnscacheAddr, "api.example.test.ns1.svc.cluster.local.", typ); len(m.Answer) != 2 {
						t.Errorf("%v", m)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	o.mu.Lock()
	n := 0
	for _, asked := range o.asked {
		n += strings.Count(asked, "api.example.test. ")
	}
	o.mu.Unlock()
	if n > 2 {
		t.Errorf("%s questions about the name outside, want 2", strconv.Itoa(n))
	}
}

// An answer that the upstream server truncates over UDP is complete; only the client's own
// size limit truncates it.
func TestAutopathAllTruncated(t *testing.T) {
	o := startOutside(t)
	c := startChain(t, "testdata/autopath/objects.yaml", allArgs(o)...)
	const name = "large.example.test.ns1.svc.cluster.local."
	for range 2 {
		if m := ask(t, "tcp", c.dnscacheAddr, name, dns.TypeA); len(m.Answer) != 61 || m.Truncated {
			t.Errorf("over TCP: %v", m)
		}
		if m := ask(t, "udp", c.dnscacheAddr, name, dns.TypeA); len(m.Answer) != 61 || m.Truncated {
			t.Errorf("over UDP with room for it: %v", m)
		}
		q := new(dns.Msg).SetQuestion(name, dns.TypeA)
		if m := exchange(t, "udp", c.dnscacheAddr, q); !m.Truncated {
			t.Errorf("over UDP with 512 octets: %v", m)
		}
	}
}
