package skydns

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// outsideServer answers every question about names outside: those below
// example.com exist.
type outsideServer struct{}

func (outsideServer) Handle(packet []byte, _ listener.ReplyTo, reply []byte) []byte {
	var q dns.Msg
	if err := q.Unpack(packet); err != nil {
		return nil
	}
	m := new(dns.Msg).SetReply(&q)
	m.RecursionAvailable = true
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	if !strings.HasSuffix(q.Question[0].Name, ".example.com.") {
		m.Rcode = dns.RcodeNameError
	} else if q.Question[0].Qtype == dns.TypeA {
		rr, _ := dns.NewRR(q.Question[0].Name + " 300 IN A 198.51.100.7")
		m.Answer = append(m.Answer, rr)
	}
	out, _ := m.Pack()
	return append(reply, out...)
}

// searcher is what a Pod of a namespace has: its resolver's search list.
type searcher struct {
	c         *client
	namespace string
	questions int
}

// ask asks one question and returns the reply.
func (s *searcher) ask(name string, typ uint16) *dns.Msg {
	s.questions++
	m := new(dns.Msg).SetQuestion(name, typ)
	m.SetEdns0(1232, false)
	return s.c.ask(m)
}

// learned is what a program learns about a name.
type learned struct {
	addrs []string // sorted
	// failed: the search ended with SERVFAIL, without an address.
	failed bool
}

// lookup goes through the search list as glibc does: A and AAAA for each entry, and on to
// the next while neither has an address.
func (s *searcher) lookup(x string) (r learned) {
	for _, name := range s.steps(x) {
		if r = s.step(name); len(r.addrs) > 0 {
			return r
		}
	}
	return r
}

// steps returns the names that are asked for x.
func (s *searcher) steps(x string) (names []string) {
	for _, suffix := range []string{s.namespace + ".svc." + zone, "svc." + zone, zone, ""} {
		names = append(names, x+"."+suffix)
	}
	return names
}

// step asks for the addresses of one name.
func (s *searcher) step(name string) (r learned) {
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		m := s.ask(name, typ)
		r.failed = r.failed || m.Rcode == dns.RcodeServerFailure
		for _, rr := range m.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				r.addrs = append(r.addrs, rr.A.String())
			case *dns.AAAA:
				r.addrs = append(r.addrs, rr.AAAA.String())
			}
		}
	}
	slices.Sort(r.addrs)
	return r
}

// randomName returns a random name that often exists, and often nearly exists.
func randomName(rng *rand.Rand) string {
	words := []string{
		"web", "db", "db-0", "dual", "prod", "ns1", "bare", "svc", "cluster", "local", "clusterset", "shop", "noips",
		"ext", "in", "in2", "out", "inout", "loop", "lost", "back", "own", "tcp", "chain", "c0", "c1", "c2", "c8", "dns", "ns", "dns-version",
		"myfed", "_tcp", "_http", "_pg", "pod", "10-1-2-3", "a", "example", "com", "nope", "*",
	}
	whole := []string{
		"web.prod", "web.prod.svc", "web.prod.svc.cluster.local", "shop.prod.svc.clusterset.local", "web.prod.myfed", "in.prod",
		"ext.example.com", "db-0.db.prod", "_http._tcp.web.prod", "cluster.local", "web.prod.ns1.svc.cluster.local", "c2.chain",
	}
	if rng.IntN(3) == 0 {
		name := whole[rng.IntN(len(whole))]
		switch rng.IntN(4) {
		case 0:
			name = words[rng.IntN(len(words))] + "." + name
		case 1:
			name += "." + words[rng.IntN(len(words))]
		}
		return name
	}
	labels := make([]string, 1+rng.IntN(5))
	for i := range labels {
		labels[i] = words[rng.IntN(len(words))]
	}
	return strings.Join(labels, ".")
}

// TestSearchIsTheSame goes through the search list for 100 000 random names, one name
// after the other as a resolver does, with completion off and on: the addresses are
// the same, and no search ends worse. One difference is by design (docs/autopath.md): if
// a later step, or the whole name, happens to be x.<namespace>.svc.<zone> itself, and
// does not exist, it is completed as well.
func TestSearchIsTheSame(t *testing.T) {
	n := 100_000
	if testing.Short() || raceEnabled {
		n = 5000
	}
	clients := map[autopath.Mode]*client{}
	for _, mode := range []autopath.Mode{autopath.Off, autopath.Cluster} {
		cfg := searchConfig(t, mode)
		cfg.Outside = outsideServer{}
		cfg.Resolve = func(q *wire.Query, done func(*wire.Reply, error)) {
			tell(done)(outsideServer{}.Handle(packed(q), listener.ReplyTo{}, nil), nil)
		}
		clients[mode] = newClient(t, cfg)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var before, after, shorter, listed int
	for range n {
		x := randomName(rng)
		if strings.Contains(x, "*") { // of several names, a wildcard takes a random one
			continue
		}
		namespace := []string{"ns1", "prod", "dns", "bare", "chain"}[rng.IntN(5)]
		off := searcher{c: clients[autopath.Off], namespace: namespace}
		on := searcher{c: clients[autopath.Cluster], namespace: namespace}
		want, got := off.lookup(x), on.lookup(x)
		o := oracle{searcher{c: clients[autopath.Off]}}
		for _, name := range off.steps(x)[1:] {
			if slices.Equal(want.addrs, got.addrs) {
				break
			}
			if target := o.target(name, dns.TypeA); target != "" {
				listed++
				want = off.step(target)
				break
			}
		}
		if !slices.Equal(want.addrs, got.addrs) || got.failed && !want.failed {
			t.Fatalf("%s from %s: %v with completion, %v without", x, namespace, got, want)
		}
		if on.questions > off.questions {
			t.Fatalf("%s from %s: %d questions with completion, %d without", x, namespace, on.questions, off.questions)
		}
		before, after = before+off.questions, after+on.questions
		if on.questions < off.questions {
			shorter++
		}
	}
	if shorter < n/100 {
		t.Errorf("only %d of %d searches became shorter; the names are no test", shorter, n)
	}
	t.Logf("%d searches, %d shorter, %d different as listed; questions %d before, %d after", n, shorter, listed, before, after)
}

// oracle uses the answers of a server without completion to find the results for the next
// names in the search list.
type oracle struct{ searcher }

// exists reports whether there is anything at a name, records or names below.
func (o *oracle) exists(name string) bool {
	return o.ask(name, dns.TypeTXT).Rcode != dns.RcodeNameError
}

// found reports whether a name has records of some type.
func (o *oracle) found(name string) bool {
	for _, typ := range []uint16{dns.TypeCNAME, dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT, dns.TypeSOA} {
		if len(o.ask(name, typ).Answer) > 0 {
			return true
		}
	}
	return false
}

func ours(name string) bool {
	return dns.IsSubDomain(zone, name) || dns.IsSubDomain(clusterSetZone, name)
}

// target returns what x.<namespace>.svc.<zone> is to be completed to, "" if it is not.
func (o *oracle) target(name string, typ uint16) string {
	labels := dns.SplitDomainName(strings.TrimSuffix(name, "svc."+zone))
	switch {
	case !strings.HasSuffix(name, ".svc."+zone), len(labels) < 3, slices.Contains(labels, "*"), typ == dns.TypeANY:
		return ""
	case o.exists(name):
		return ""
	}
	namespace, x := labels[len(labels)-1], strings.Join(labels[:len(labels)-1], ".")
	if !o.exists(namespace+".svc."+zone) || o.exists(labels[len(labels)-2]+"."+namespace+".svc."+zone) {
		return ""
	}
	for _, candidate := range []string{x + ".svc." + zone, x + "." + zone, x + "."} {
		if !ours(candidate) || !o.found(candidate) {
			continue
		}
		for next, n := candidate, 1; n <= maxChain; n++ {
			m := o.ask(next, dns.TypeCNAME)
			if len(m.Answer) == 0 {
				if m.Rcode != dns.RcodeSuccess {
					return ""
				}
				return candidate
			}
			if next = m.Answer[len(m.Answer)-1].(*dns.CNAME).Target; !ours(next) {
				return ""
			}
		}
		return ""
	}
	return ""
}

// TestAnswersDifferOnlyAsListed compares single answers with completion off and on, of
// names in the cluster's zones and all types: they are the same, but for NXDOMAIN to
// names that the oracle completes, and these are as if the client had asked for the
// target.
func TestAnswersDifferOnlyAsListed(t *testing.T) {
	n := 30_000
	if testing.Short() || raceEnabled {
		n = 3000
	}
	off, on := newClient(t, searchConfig(t, autopath.Off)), newClient(t, searchConfig(t, autopath.Cluster))
	// Rotation is random: both see small answers, compared as sets by render.
	o := &oracle{searcher{c: off}}
	rng := rand.New(rand.NewPCG(3, 4))
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeTXT, dns.TypeCNAME, dns.TypeANY, dns.TypeSOA, dns.TypeHTTPS}
	completed := 0
	for range n {
		name := randomName(rng) + "." + []string{"ns1.svc." + zone, "prod.svc." + zone, "bare.svc." + zone, "svc." + zone, zone, clusterSetZone}[rng.IntN(6)]
		typ := types[rng.IntN(len(types))]
		ask := func(c *client, name string) *dns.Msg { return (&searcher{c: c}).ask(name, typ) }
		want, got := ask(off, name), ask(on, name)
		target := o.target(name, typ)
		if target == "" {
			if strings.Contains(name, "*") && len(want.Answer) > 0 {
				continue // of several names, a wildcard takes a random one
			}
			if typ == dns.TypeANY && o.target(name, dns.TypeA) != "" { // nobody may keep it
				soa := want.Ns[0].(*dns.SOA)
				soa.Hdr.Ttl, soa.Minttl = 0, 0
			}
			if render(got) != render(want) {
				t.Fatalf("%s %s:\n%s\nwant\n%s", name, dns.TypeToString[typ], render(got), render(want))
			}
			continue
		}
		completed++
		direct := ask(off, target)
		if len(got.Answer) == 0 {
			t.Fatalf("%s %s is not completed to %s:\n%s", name, dns.TypeToString[typ], target, render(got))
		}
		alias, ok := got.Answer[0].(*dns.CNAME)
		if !ok || alias.Hdr.Name != name || alias.Target != target || alias.Hdr.Ttl > 5 {
			t.Fatalf("%s %s: %v, want a CNAME to %s", name, dns.TypeToString[typ], got.Answer[0], target)
		}
		if got.Answer = got.Answer[1:]; typ == dns.TypeCNAME {
			got.Answer, direct = nil, got
		}
		if render(got) != render(direct) {
			t.Fatalf("%s %s:\n%s\nwhile %s has\n%s", name, dns.TypeToString[typ], render(got), target, render(direct))
		}
	}
	if completed < n/100 {
		t.Errorf("only %d of %d names were completed; the names are no test", completed, n)
	}
	t.Logf("%d of %d completed", completed, n)
}
