package skydns

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// naive answers a question about a name below svc.cluster.local, the slow and
// obvious way: whole sets of strings, no limit of size.
func naive(f *fakeBackend, q dns.Question) *dns.Msg {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}}
	owner, ttl := q.Name, uint32(1<<31-1)
	visited := []string{strings.ToLower(q.Name)}
	for {
		name := strings.ToLower(owner)
		a := f.Records([]byte(dnsname.MustParse(name)))
		var all []treecache.Record
		for i := range a.Len() {
			r := a.At(i)
			if port := !r.Addr.IsValid() && !r.Alias; port && !a.AtNode() && (q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA) {
				target := f.Records(r.AppendTarget(nil))
				for k := range target.Len() {
					all = append(all, target.At(k))
				}
				continue
			}
			all = append(all, r)
		}
		header := func(t uint16) dns.RR_Header {
			return dns.RR_Header{Name: owner, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
		}
		found := false
		alias := ""
		for _, r := range all {
			target := ""
			if r.HasTarget() {
				target = dnsname.Name(r.AppendTarget(nil)).String()
			}
			isService := q.Qtype == dns.TypeSRV && target != "" && !r.Alias
			if isAddr(r, q.Qtype) || isService {
				ttl = min(ttl, r.TTL)
				found = true
			}
			if r.Alias || (!r.Addr.IsValid() && (q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA)) {
				alias = target
			}
		}
		if q.Qtype == dns.TypeANY && a.Status == treecache.Found {
			m.Answer = []dns.RR{&dns.HINFO{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: 30}, Cpu: "RFC8482"}}
			return m
		}
		switch {
		case a.Status == treecache.NoSuchName:
			m.Rcode = dns.RcodeNameError
			m.Ns = []dns.RR{naiveSOA()}
			return m
		case found:
			m.Answer = append(m.Answer, naiveAnswers(all, header, q.Qtype)...)
			if q.Qtype == dns.TypeSRV {
				m.Extra = naiveGlue(f, m.Answer)
			}
			return m
		case alias == "":
			m.Ns = []dns.RR{naiveSOA()}
			return m
		}
		ttl = min(ttl, all[0].TTL)
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: header(dns.TypeCNAME), Target: alias})
		if q.Qtype == dns.TypeCNAME || slices.Contains(visited, strings.ToLower(alias)) {
			return m
		}
		owner = alias
		visited = append(visited, strings.ToLower(alias))
	}
}

func isAddr(r treecache.Record, qtype uint16) bool {
	return r.Addr.IsValid() && (qtype == dns.TypeA && r.Addr.Is4() || qtype == dns.TypeAAAA && r.Addr.Is6())
}

// naiveAnswers makes each record of the type once.
func naiveAnswers(all []treecache.Record, header func(uint16) dns.RR_Header, qtype uint16) (out []dns.RR) {
	seen := map[string]bool{}
	for _, r := range all {
		var rr dns.RR
		switch {
		case isAddr(r, dns.TypeA) && qtype == dns.TypeA:
			rr = &dns.A{Hdr: header(dns.TypeA), A: net.IP(r.Addr.AsSlice())}
		case isAddr(r, dns.TypeAAAA) && qtype == dns.TypeAAAA:
			rr = &dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: net.IP(r.Addr.AsSlice())}
		case qtype == dns.TypeSRV && r.HasTarget() && !r.Alias:
			rr = &dns.SRV{
				Hdr: header(dns.TypeSRV), Priority: r.Priority, Weight: r.Weight, Port: r.Port,
				Target: dnsname.Name(r.AppendTarget(nil)).String(),
			}
		}
		if rr != nil && !seen[rr.String()] {
			seen[rr.String()] = true
			out = append(out, rr)
		}
	}
	return out
}

// naiveGlue looks up every target, each once.
func naiveGlue(f *fakeBackend, answers []dns.RR) (out []dns.RR) {
	seen := map[string]bool{}
	for _, rr := range answers {
		srv, ok := rr.(*dns.SRV)
		if !ok || seen[srv.Target] {
			continue
		}
		seen[srv.Target] = true
		a := f.Records([]byte(dnsname.MustParse(srv.Target)))
		for i := range a.Len() {
			r := a.At(i)
			header := dns.RR_Header{Name: srv.Target, Class: dns.ClassINET, Ttl: r.TTL}
			switch {
			case isAddr(r, dns.TypeA):
				header.Rrtype = dns.TypeA
				out = append(out, &dns.A{Hdr: header, A: net.IP(r.Addr.AsSlice())})
			case isAddr(r, dns.TypeAAAA):
				header.Rrtype = dns.TypeAAAA
				out = append(out, &dns.AAAA{Hdr: header, AAAA: net.IP(r.Addr.AsSlice())})
			}
		}
	}
	return out
}

func naiveSOA() dns.RR {
	return &dns.SOA{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET}}
}

// sortedSection is a section as a sorted list; of a SOA only the name counts,
// and of other names the spelling does not.
func sortedSection(list []dns.RR) (out []string) {
	for _, rr := range list {
		switch rr := rr.(type) {
		case *dns.OPT:
		case *dns.SOA:
			out = append(out, strings.ToLower(rr.Hdr.Name)+" SOA")
		case *dns.CNAME:
			out = append(out, strings.ToLower(rr.Hdr.String())+rr.Target)
		default:
			out = append(out, strings.ToLower(rr.String()))
		}
	}
	slices.Sort(out)
	return out
}

// randomCluster fills a backend with Services of every kind, and returns names
// to ask for: those that exist and others near them.
func randomCluster(tb testing.TB, r *rand.Rand) (*fakeBackend, []string) {
	tb.Helper()
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(zone))}
	var names []string
	randomAddr := func() string {
		if r.IntN(3) == 0 {
			return fmt.Sprintf("2001:db8::%x", 1+r.IntN(200))
		}
		return fmt.Sprintf("10.0.%d.%d", r.IntN(2), 1+r.IntN(200))
	}
	ports := func() []records.Port {
		list := []records.Port{tcp("http", uint16(1+r.IntN(3))), {Name: "dns", Protocol: records.UDP, Number: 53}, tcp("http", 9)}
		return list[:r.IntN(len(list)+1)]
	}
	for i := range 12 {
		namespace, name := fmt.Sprintf("ns%d", r.IntN(3)), fmt.Sprintf("s%d", i)
		switch r.IntN(3) {
		case 0:
			f.add(tb, clusterIP(namespace, name, addrs(randomAddr(), randomAddr())[:1+r.IntN(2)], tcp("http", 80), records.Port{Name: "dns", Protocol: records.UDP, Number: 53}))
		case 1:
			var slices []*records.Slice
			for range 1 + r.IntN(2) {
				var hosts []string
				for range r.IntN(30) {
					host := randomAddr()
					if r.IntN(3) == 0 {
						host += fmt.Sprintf("=pet-%d", r.IntN(5))
					}
					hosts = append(hosts, host)
				}
				slices = append(slices, slice(ports(), hosts...))
			}
			f.add(tb, headless(namespace, name), slices...)
		case 2:
			f.add(tb, external(namespace, name, fmt.Sprintf("s%d.ns%d.svc.cluster.local", r.IntN(12), r.IntN(3))))
		}
		base := name + "." + namespace + ".svc." + zone
		names = append(names, base, "nosuch."+base, "pet-1."+base, "_http._tcp."+base, "_dns._udp."+base, "_tcp."+base, "pet-2._http._tcp."+base,
			namespace+".svc."+zone, strings.ToUpper(base))
	}
	return f, names
}

// TestAgreesWithNaive compares the server with its naive twin over random
// clusters.
func TestAgreesWithNaive(t *testing.T) {
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME, dns.TypeTXT, dns.TypeANY}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		f, names := randomCluster(t, r)
		c := newClient(t, Config{Backend: f})
		for _, name := range names {
			for _, qtype := range types {
				m := new(dns.Msg).SetQuestion(name, qtype)
				want := naive(f, m.Question[0])
				c.stream = true
				compare(t, c.ask(m), want)
				c.stream = false
				if got := c.ask(m.SetEdns0(1232, false)); !got.Truncated {
					got.Extra, want.Extra = nil, nil // left out where there is no room
					compare(t, got, want)
				} else if all := sortedSection(want.Answer); len(got.Answer) == 0 || !contains(all, sortedSection(got.Answer)) {
					t.Errorf("cut reply is no part of the whole one:\n%v\n%v", got, want)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func contains(all, part []string) bool {
	for _, s := range part {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

func compare(t *testing.T, got, want *dns.Msg) {
	t.Helper()
	type reply struct {
		Rcode         int
		AA            bool
		An, Ns, Extra []string
	}
	view := func(m *dns.Msg) reply {
		return reply{m.Rcode, m.Authoritative, sortedSection(m.Answer), sortedSection(m.Ns), sortedSection(m.Extra)}
	}
	if diff := cmp.Diff(view(want), view(got)); diff != "" {
		t.Errorf("%v: -naive +got:\n%s", got.Question, diff)
	}
}

// FuzzHandle gives the server arbitrary packets: it must not crash, and every
// reply must unpack, carry the id, and repeat the question.
func FuzzHandle(f *testing.F) {
	for _, query := range []string{
		"web.default A", "_http._tcp.hl.default SRV", "e1.ext A", "cluster.local. SOA", "ns.dns.cluster.local. AAAA",
		"10.0.96.10.in-addr.arpa. PTR", "example.com. A", "eloop.ext A", "web.* ANY", "back.ext A",
	} {
		for _, m := range []*dns.Msg{question(f, query), question(f, query).SetEdns0(512, true)} {
			packet, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packet, false)
			f.Add(packet, true)
		}
	}
	up := &upstream{}
	c := newClient(f, Config{Version: "v", Hostname: "h", Resolve: func(q *wire.Query, done func(*wire.Reply, error)) {
		tell(done)(up.answer(packed(q)))
	}})
	f.Fuzz(func(t *testing.T, packet []byte, stream bool) {
		if len(packet) < 12 {
			return // the listener drops these
		}
		c.t, c.stream = t, stream
		out := c.server.Handle(slices.Clone(packet), c.replyTo(), c.buffer[:0])
		if len(out) == 0 {
			select {
			case out = <-c.late: // an empty one says that there will be none
			default:
			}
		}
		if len(out) == 0 {
			if packet[2]&0x80 == 0 {
				t.Fatalf("no reply to %x", packet)
			}
			return
		}
		var reply dns.Msg
		if err := reply.Unpack(out); err != nil {
			t.Fatalf("reply to %x does not unpack: %v\n%x", packet, err, out)
		}
		if n := c.server.metrics.recovered.Count(); n > 0 {
			t.Fatalf("crash on %x", packet)
		}
		part, seen := c.server.Split().(*Part), slices.Clone(packet)
		part.Preview([][]byte{seen})
		if again := part.Handle(seen, c.replyTo(), nil); len(again) > 0 && len(again) != len(out) {
			t.Fatalf("%d octets of reply to %x, %d when it was seen before", len(out), packet, len(again))
		}
		part.Flush()
		for len(c.late) > 0 {
			<-c.late
		}
		if out[0] != packet[0] || out[1] != packet[1] || !reply.Response || (!stream && len(out) > 1232) {
			t.Fatalf("%d octets of reply to %x:\n%v", len(out), packet, &reply)
		}
		var query dns.Msg
		if query.Unpack(packet) == nil && len(query.Question) == 1 && len(reply.Question) == 1 && reply.Question[0] != query.Question[0] {
			t.Fatalf("question %v, reply to %v", query.Question, reply.Question)
		}
	})
}
