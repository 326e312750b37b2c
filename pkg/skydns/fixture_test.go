package skydns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const zone = "cluster.local."

// fakeBackend answers from a tree, and has pod and federated names of its own.
type fakeBackend struct {
	tree     *treecache.Tree
	unsynced bool
	extra    map[dnsname.Name]treecache.Answer
}

func (f *fakeBackend) HasSynced() bool { return !f.unsynced }

func (f *fakeBackend) Records(name []byte) treecache.Answer {
	if a, ok := f.extra[dnsname.Name(name)]; ok {
		return a
	}
	if f.unsynced {
		return treecache.Answer{Status: treecache.Unavailable}
	}
	if slices.Contains(name, '*') {
		return f.tree.Snapshot().Match(name, rand.Uint64())
	}
	return f.tree.Lookup(name)
}

func (f *fakeBackend) ReverseRecord(addr netip.Addr, scratch *[]treecache.Record) treecache.Answer {
	return f.tree.Reverse(addr, scratch)
}

func (f *fakeBackend) Warm(names [][]byte) uint64 { return f.tree.Warm(names) }

// add puts a Service into the tree.
func (f *fakeBackend) add(tb testing.TB, svc *records.Service, slices ...*records.Slice) {
	tb.Helper()
	set, problems := records.Build(svc, slices, 15, records.DefaultTTL)
	if len(problems) > 0 {
		tb.Fatalf("service %s/%s: %v", svc.Namespace, svc.Name, problems)
	}
	if set != nil {
		f.tree.Replace(set)
	}
}

func addrs(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func clusterIP(namespace, name string, ips []netip.Addr, ports ...records.Port) *records.Service {
	return &records.Service{Namespace: namespace, Name: name, ClusterIPs: ips, Ports: ports}
}

func external(namespace, name, target string) *records.Service {
	return &records.Service{Namespace: namespace, Name: name, Kind: records.ExternalName, ExternalName: target}
}

func headless(namespace, name string) *records.Service {
	return &records.Service{Namespace: namespace, Name: name, Kind: records.Headless}
}

// slice makes an EndpointSlice; hosts are "address" or "address=hostname".
func slice(ports []records.Port, hosts ...string) *records.Slice {
	s := &records.Slice{Name: "slice", Ports: ports}
	for _, host := range hosts {
		addr, name, _ := strings.Cut(host, "=")
		s.Add(records.Endpoint{Addr: netip.MustParseAddr(addr), Hostname: name, Ready: true})
	}
	return s
}

func tcp(name string, number uint16) records.Port {
	return records.Port{Name: name, Protocol: records.TCP, Number: number}
}

// newFixture builds the objects that docs/reference/kubedns.md §16 uses.
func newFixture(tb testing.TB) *fakeBackend {
	tb.Helper()
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(zone)), extra: map[dnsname.Name]treecache.Answer{}}
	f.add(tb, clusterIP("default", "web", addrs("10.96.0.10"), tcp("http", 80), tcp("https", 443),
		records.Port{Name: "dns", Protocol: records.UDP, Number: 53}))
	f.add(tb, clusterIP("prod", "web", addrs("10.96.0.11"), tcp("http", 8080)))
	f.add(tb, clusterIP("default", "dual", addrs("10.96.0.20", "2001:db8:0:0:aaaa::1"), tcp("http", 80)))
	f.add(tb, clusterIP("default", "six", addrs("2001:db8::5"), tcp("http", 80)))
	f.add(tb, clusterIP("default", "noports", addrs("10.96.0.30")))
	f.add(tb, clusterIP("kube-system", "kube-dns", addrs("10.96.0.2"), tcp("dns-tcp", 53)))
	f.add(tb, headless("default", "hl"), slice([]records.Port{tcp("http", 8080)}, "10.0.0.1", "10.0.0.2", "10.0.0.3=pet-0"))
	f.add(tb, headless("default", "hlmix"), slice([]records.Port{{Name: "p", Protocol: records.SCTP, Number: 7}}, "10.0.2.1=a", "2001:db8::22=b"))
	f.add(tb, headless("default", "twice"), slice([]records.Port{tcp("a", 1), tcp("b", 2)}, "10.0.5.1=one", "10.0.5.1=two"))
	for i, target := range map[string]string{
		"e1": "ext.example.com", "e2": "Alias.Example.COM", "enx": "a.nx.example.com", "esf": "a.servfail.example.com",
		"edead": "dead.example.com", "ein": "web.default.svc.cluster.local", "eloop": "eloop.ext.svc.cluster.local",
		"l1": "l2.ext.svc.cluster.local", "l2": "l1.ext.svc.cluster.local", "emiss": "nosuch.default.svc.cluster.local",
		"short": "localhost", "back": "back.example.com", "garbage": "garbage.example.com", "enodata": "nodata.example.com",
		"ens": "ns.dns.cluster.local", "esrv": "srv.example.com",
	} {
		f.add(tb, external("ext", i, target))
	}
	for i := range 9 {
		f.add(tb, external("chain", fmt.Sprintf("c%d", i), fmt.Sprintf("c%d.chain.svc.cluster.local", i+1)))
	}
	f.add(tb, clusterIP("chain", "c9", addrs("10.96.0.99")))
	f.extra[dnsname.MustParse("1-2-3-4.default.pod.cluster.local.")] = treecache.ListAnswer([]treecache.Record{
		treecache.AddressRecord(netip.MustParseAddr("1.2.3.4"), 30),
	})
	f.extra[dnsname.MustParse("web.default.myfed.svc.cluster.local.")] = treecache.ListAnswer([]treecache.Record{
		treecache.AliasRecord(dnsname.MustParse("web.default.svc.cluster.local."), 0),
	})
	return f
}

// upstream plays the servers outside. It answers on a goroutine of its own.
type upstream struct {
	mu    sync.Mutex
	asked []string
}

func (u *upstream) resolve(question *wire.Query, done func(*wire.Reply, error)) {
	query := packed(question)
	go func() { tell(done)(u.answer(query)) }()
}

// packed makes a message of a question.
func packed(q *wire.Query) []byte {
	return wire.AppendQuery(nil, 0, q.Flags, wire.Subject{Name: q.Name, Type: q.Type, Class: q.Class}, &wire.OPT{DO: q.EDNS.DO})
}

// tell gives done a message that came back.
func tell(done func(*wire.Reply, error)) func([]byte, error) {
	return func(msg []byte, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		var r wire.Reply
		if !wire.ParseReply(msg, &r) {
			done(nil, errors.New("unreadable"))
			return
		}
		done(&r, nil)
	}
}

func (u *upstream) answer(query []byte) ([]byte, error) {
	var q dns.Msg
	if err := q.Unpack(query); err != nil {
		return nil, err
	}
	u.mu.Lock()
	u.asked = append(u.asked, q.Question[0].Name+" "+dns.TypeToString[q.Question[0].Qtype])
	u.mu.Unlock()
	m := new(dns.Msg).SetReply(&q)
	m.RecursionAvailable = true
	add := func(texts ...string) {
		for _, text := range texts {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
	}
	extra := func(texts ...string) {
		answers := len(m.Answer)
		add(texts...)
		m.Answer, m.Extra = m.Answer[:answers], append(m.Extra, m.Answer[answers:]...)
	}
	soa, _ := dns.NewRR("example.com. 300 IN SOA ns.example.com. mail.example.com. 1 2 3 4 60")
	switch name := strings.ToLower(q.Question[0].Name); name + " " + dns.TypeToString[q.Question[0].Qtype] {
	case "ext.example.com. A":
		add("ext.example.com. 300 IN A 198.51.100.7", "www.cluster.local. 300 IN A 198.51.100.66", "other.example.com. 300 IN A 198.51.100.67")
	case "ext.example.com. AAAA":
		add("ext.example.com. 20 IN AAAA 2001:db8::7")
	case "ext.example.com. TXT":
		add(`ext.example.com. 300 IN TXT "hello"`)
	case "srv.example.com. SRV":
		add("srv.example.com. 300 IN SRV 1 2 3 Host.example.com.", "srv.example.com. 300 IN SRV 1 2 3 web.default.svc.cluster.local.")
		extra("host.example.com. 300 IN A 198.51.100.8", "host.example.com. 300 IN AAAA 2001:db8::8", "host.example.com. 300 IN TXT \"no\"",
			"web.default.svc.cluster.local. 300 IN A 198.51.100.66", "other.example.com. 300 IN A 198.51.100.67")
	case "alias.example.com. A":
		add("Alias.Example.COM. 300 IN CNAME ext.example.com.", "ext.example.com. 300 IN A 198.51.100.7")
	case "back.example.com. A":
		add("back.example.com. 25 IN CNAME web.default.svc.cluster.local.", "web.default.svc.cluster.local. 300 IN A 198.51.100.66")
		m.Rcode = dns.RcodeNameError
	case "a.servfail.example.com. A":
		m.Rcode = dns.RcodeServerFailure
	case "dead.example.com. A":
		return nil, errors.New("timeout")
	case "garbage.example.com. A":
		return []byte("no message"), nil
	case "nodata.example.com. A":
		m.Ns = append(m.Ns, soa)
	default:
		m.Ns = append(m.Ns, soa)
		m.Rcode = dns.RcodeNameError
	}
	return m.Pack()
}

// client asks a server, as the listener would.
type client struct {
	t      testing.TB
	server *Server
	local  netip.Addr
	stream bool
	late   chan []byte
	buffer []byte
}

// Send implements listener.Sink.
func (c *client) Send(_ listener.ReplyTo, msg []byte) { c.late <- slices.Clone(msg) }

func newClient(tb testing.TB, cfg Config) *client {
	tb.Helper()
	if cfg.Domain == "" {
		cfg.Domain = dnsname.MustParse(zone)
	}
	if cfg.Backend == nil {
		cfg.Backend = newFixture(tb)
	}
	if cfg.TTL == 0 {
		cfg.TTL = records.DefaultTTL * time.Second
	}
	server, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return &client{
		t: tb, server: server, local: netip.MustParseAddr("127.0.0.1"),
		late: make(chan []byte, 1), buffer: make([]byte, 0, listener.MaxMessageBytes),
	}
}

func (c *client) replyTo() listener.ReplyTo {
	return listener.NewReplyTo(c, netip.MustParseAddrPort("127.0.0.1:5353"), c.local, c.stream)
}

// raw asks with a packet and returns the reply, given at once or later.
func (c *client) raw(packet []byte) []byte {
	c.t.Helper()
	if out := c.server.Handle(slices.Clone(packet), c.replyTo(), c.buffer[:0]); len(out) > 0 {
		return slices.Clone(out)
	}
	select {
	case out := <-c.late:
		return out
	case <-time.After(10 * time.Second):
		c.t.Fatalf("no reply to %x", packet)
	}
	return nil
}

// ask sends m and checks what every reply must have.
func (c *client) ask(m *dns.Msg) *dns.Msg {
	c.t.Helper()
	packet, err := m.Pack()
	if err != nil {
		c.t.Fatal(err)
	}
	out := c.raw(packet)
	var reply dns.Msg
	if err := reply.Unpack(out); err != nil {
		c.t.Fatalf("reply to %v does not unpack: %v\n%x", m.Question, err, out)
	}
	switch {
	case reply.Id != m.Id, !reply.Response, len(reply.Question) != 1, reply.Question[0] != m.Question[0]:
		c.t.Fatalf("reply is not one to %v:\n%v", m, &reply)
	case (reply.IsEdns0() != nil) != (m.IsEdns0() != nil):
		c.t.Fatalf("OPT in the reply: %v, in the query: %v", reply.IsEdns0(), m.IsEdns0())
	case !c.stream && m.IsEdns0() == nil && len(out) > 512:
		c.t.Fatalf("reply of %d octets to a query without EDNS", len(out))
	case !c.stream && len(out) > 1232:
		c.t.Fatalf("UDP reply of %d octets", len(out))
	}
	return &reply
}

// question makes a query from "name type"; relative names are in svc.cluster.local.
func question(tb testing.TB, text string) *dns.Msg {
	tb.Helper()
	name, typ, _ := strings.Cut(text, " ")
	if !strings.HasSuffix(name, ".") {
		name += ".svc.cluster.local."
	}
	qtype, ok := dns.StringToType[typ]
	if !ok {
		tb.Fatalf("no type in %q", text)
	}
	return new(dns.Msg).SetQuestion(name, qtype)
}

// render writes a reply down: rcode and flags, then the records of each section.
func render(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[m.Rcode])
	for flag, on := range map[string]bool{"aa": m.Authoritative} {
		if on {
			b.WriteString(" " + flag)
		}
	}
	if !m.RecursionAvailable {
		b.WriteString(" nora")
	}
	if m.Truncated {
		b.WriteString(" tc")
	}
	section := func(prefix string, list []dns.RR) {
		var lines []string
		for _, rr := range list {
			switch rr := rr.(type) {
			case *dns.OPT:
			case *dns.SOA:
				lines = append(lines, fmt.Sprintf("%s%s %d SOA min=%d", prefix, rr.Hdr.Name, rr.Hdr.Ttl, rr.Minttl))
			default:
				h := rr.Header()
				data := strings.Join(strings.Fields(strings.TrimPrefix(rr.String(), h.String())), " ")
				name := strings.ReplaceAll(h.Name, "svc.cluster.local.", "S")
				lines = append(lines, fmt.Sprintf("%s%s %d %s %s", prefix, name, h.Ttl, dns.TypeToString[h.Rrtype], strings.ReplaceAll(data, "svc.cluster.local.", "S")))
			}
		}
		if prefix != "" || len(list) > 0 && list[0].Header().Rrtype != dns.TypeCNAME {
			slices.Sort(lines)
		}
		for _, line := range lines {
			b.WriteString("\n" + line)
		}
	}
	section("", m.Answer)
	section("ns ", m.Ns)
	section("ad ", m.Extra)
	return b.String()
}
