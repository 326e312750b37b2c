package answercache

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// twin is a cache written without regard to speed: a map from the text of the question to
// messages of miekg/dns, without limits.
type twin struct {
	cfg     Config
	entries map[string]*twinEntry
}

type twinEntry struct {
	msg         *dns.Msg // the answer, with the TTLs at the time of storing
	stored      int64
	life        int64 // seconds
	failedUntil int64
	failure     bool
}

func twinKey(q *wire.Query) string {
	name, _, _ := dns.UnpackDomainName(q.Name, 0)
	return fmt.Sprint(strings.ToLower(name), q.Type, q.Class, q.EDNS.DO, q.Flags&wire.FlagCD)
}

// twinNX returns the key of the answer that the name does not exist.
func twinNX(q *wire.Query) string {
	any := *q
	any.Type = 0
	return twinKey(&any)
}

func (w *twin) store(q *wire.Query, m *dns.Msg, now int64) bool {
	if m.Rcode != 0 && m.Rcode != 3 {
		return false
	}
	forget := func() bool {
		delete(w.entries, twinKey(q))
		delete(w.entries, twinNX(q))
		return false
	}
	kept := w.sanitize(q, m)
	if kept == nil {
		return forget()
	}
	life := int64(1 << 40)
	for _, rr := range append(append([]dns.RR{}, kept.Answer...), kept.Ns...) {
		h := rr.Header()
		if w.cfg.MaxCacheTTL > 0 {
			h.Ttl = min(h.Ttl, w.cfg.MaxCacheTTL)
		}
		h.Ttl = max(h.Ttl, w.cfg.MinTTL)
		life = min(life, int64(h.Ttl))
	}
	if len(kept.Ns) == 0 && kept.Truncated { // Truncated marks a negative answer without an SOA record
		life = min(life, int64(max(w.cfg.NegativeTTL, w.cfg.MinTTL)))
	}
	if life == 0 && w.cfg.StaleFor == 0 {
		return forget()
	}
	own, nx := twinKey(q), twinNX(q)
	if kept.Rcode == dns.RcodeNameError && len(kept.Answer) == 0 {
		own, nx = nx, own
	}
	delete(w.entries, nx)
	w.entries[own] = &twinEntry{msg: kept, stored: now, life: life}
	return true
}

// sanitize returns the part of m that answers q, or nil if there is none. It only supports
// records of the types A and CNAME.
func (w *twin) sanitize(q *wire.Query, m *dns.Msg) *dns.Msg {
	if m.Truncated || m.Rcode != 0 && m.Rcode != 3 {
		return nil
	}
	kept := &dns.Msg{}
	kept.Rcode = m.Rcode
	at := func(name string, typ uint16) (found []dns.RR) {
		for _, rr := range m.Answer {
			if strings.EqualFold(rr.Header().Name, name) && rr.Header().Rrtype == typ {
				found = append(found, dns.Copy(rr))
			}
		}
		return found
	}
	name, _, _ := dns.UnpackDomainName(q.Name, 0)
	for links := 0; ; links++ {
		if final := at(name, q.Type); len(final) > 0 {
			least := final[0].Header().Ttl
			for _, rr := range final {
				least = min(least, rr.Header().Ttl)
			}
			for _, rr := range final {
				rr.Header().Ttl = least
			}
			kept.Answer = append(kept.Answer, final...)
			if m.Rcode != 0 {
				return nil
			}
			return kept
		}
		link := at(name, dns.TypeCNAME)
		for len(link) > 1 && strings.EqualFold(link[0].(*dns.CNAME).Target, link[1].(*dns.CNAME).Target) {
			link[0].Header().Ttl = min(link[0].Header().Ttl, link[1].Header().Ttl)
			link = append(link[:1], link[2:]...)
		}
		if len(link) > 1 || len(link) == 1 && links == 16 {
			return nil
		}
		if len(link) == 0 {
			break
		}
		kept.Answer = append(kept.Answer, link[0])
		name = link[0].(*dns.CNAME).Target
	}
	if w.cfg.NoNegative {
		return nil
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, name) {
			soa = dns.Copy(soa).(*dns.SOA)
			soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
			kept.Ns = append(kept.Ns, soa)
			return kept
		}
	}
	kept.Truncated = true
	if w.cfg.NegativeTTL == 0 {
		return nil
	}
	return kept
}

func (w *twin) fail(q *wire.Query, now int64) {
	for _, key := range []string{twinKey(q), twinNX(q)} {
		switch e := w.entries[key]; w.state(e, now) {
		case Hit:
			return
		case Stale:
			if w.state(w.entries[twinNX(q)], now) != Hit {
				e.failedUntil = now + int64(w.cfg.FailureTTL)*second
			}
			return
		}
	}
	life := int64(w.cfg.FailureTTL)
	if last := w.entries[twinKey(q)]; last != nil && last.failure {
		switch age := now - last.stored; {
		case age < last.life*second:
			return
		case age < 2*last.life*second:
			life = min(2*last.life, 300)
		}
	}
	m := &dns.Msg{}
	m.Rcode = dns.RcodeServerFailure
	w.entries[twinKey(q)] = &twinEntry{msg: m, stored: now, life: life, failure: true}
}

// state returns the result of a lookup that finds e and allows expired answers.
func (w *twin) state(e *twinEntry, now int64) LookupResult {
	switch {
	case e == nil:
		return Miss
	case now < e.stored+e.life*second && e.failure:
		return Failed
	case now < e.stored+e.life*second:
		return Hit
	case e.failure || now >= e.stored+(e.life+int64(w.cfg.StaleFor))*second:
		return Miss
	}
	return Stale
}

// choose returns what a lookup finds: an answer, otherwise a failure, otherwise an expired
// answer. For each, the entry of the question comes before that of the name.
func (w *twin) choose(q *wire.Query, now int64) (*twinEntry, LookupResult) {
	for _, want := range []LookupResult{Hit, Failed, Stale} {
		for _, key := range []string{twinKey(q), twinNX(q)} {
			if e := w.entries[key]; w.state(e, now) == want {
				return e, want
			}
		}
	}
	return nil, Miss
}

func (w *twin) lookup(q *wire.Query, now int64, allowStale bool) ([]string, LookupResult) {
	e, result := w.choose(q, now)
	switch {
	case e == nil:
		return nil, Miss
	case result == Stale && !allowStale && now >= e.failedUntil:
		return nil, Expired
	}
	m := e.msg.Copy()
	for _, rr := range append(m.Answer, m.Ns...) {
		h := rr.Header()
		age := uint32(max(0, now-e.stored) / second)
		h.Ttl -= min(h.Ttl, age)
		if result == Stale {
			h.Ttl = w.cfg.StaleTTL
		}
		if w.cfg.MaxTTL > 0 {
			h.Ttl = min(h.Ttl, w.cfg.MaxTTL)
		}
	}
	return lowered(m), result
}

// lowered is zone in lower case, because the cache repeats the spelling of the client.
func lowered(m *dns.Msg) []string {
	out := zone(m)
	for i := range out {
		out[i] = strings.ToLower(out[i])
	}
	return out
}

// randomReply returns a reply that uses few names, so that chains, loops and records of other
// names are frequent.
func randomReply(t *testing.T, rng *rand.Rand, q *wire.Query) *dns.Msg {
	t.Helper()
	names := []string{"a.z.", "B.z.", "c.y.", "d.z.", "z."}
	name := func() string { return names[rng.IntN(len(names))] }
	ttl := func() int { return []int{0, 1, 2, 5, 10, 60}[rng.IntN(6)] }
	var lines []string
	for range rng.IntN(6) {
		if rng.IntN(2) == 0 {
			lines = append(lines, fmt.Sprintf("%s %d IN A 1.2.3.%d", name(), ttl(), rng.IntN(4)))
		} else {
			lines = append(lines, fmt.Sprintf("%s %d IN CNAME %s", name(), ttl(), name()))
		}
	}
	for range rng.IntN(2) {
		lines = append(lines, fmt.Sprintf("ns %s %d IN SOA n. h. 1 2 3 4 %d", name(), ttl(), ttl()))
	}
	if rng.IntN(3) == 0 {
		lines = append(lines, fmt.Sprintf("ar %s %d IN A 6.6.6.6", name(), ttl()))
	}
	for flag, odds := range map[string]int{"nxdomain": 4, "tc": 20, "servfail": 20} {
		if rng.IntN(odds) == 0 {
			lines = append(lines, flag)
		}
	}
	return message(t, q, lines...)
}

func TestAgreesWithTwin(t *testing.T) {
	configs := []Config{
		{},
		{MinTTL: 3, MaxCacheTTL: 7, MaxTTL: 6, NegativeTTL: 4},
		{StaleFor: 20, StaleTTL: 30, FailureTTL: 5},
		{StaleFor: 5, NoNegative: true, FailureTTL: 2},
	}
	for i, cfg := range configs {
		cfg.Entries = 1000
		rng := rand.New(rand.NewPCG(42, uint64(i)))
		c, w := New(cfg), &twin{cfg: cfg, entries: map[string]*twinEntry{}}
		now, found := at(0), map[LookupResult]int{}
		for n := range 10000 {
			now += rng.Int64N(second)
			q := ask(t, []string{"a.z.", "b.Z.", "C.y.", "z."}[rng.IntN(4)], []uint16{dns.TypeA, dns.TypeCNAME}[rng.IntN(2)])
			if rng.IntN(4) == 0 {
				q.EDNS = wire.EDNS{Present: true, Size: 1232, DO: true}
			}
			switch rng.IntN(4) {
			case 0:
				m := randomReply(t, rng, q)
				got := c.Store(q, parsed(t, m), nil, c.Epoch(), now)
				if want := w.store(q, m, now); got != want {
					t.Fatalf("config %d, step %d: Store = %v, the twin says %v for\n%v", i, n, got, want, m)
				}
			case 1:
				if cfg.FailureTTL > 0 {
					c.StoreFailure(q, wire.RcodeServFail, c.Epoch(), now)
					w.fail(q, now)
				}
			default:
				allowStale := rng.IntN(2) == 0
				m, result := lookup(t, c, now, q, allowStale)
				want, wantResult := w.lookup(q, now, allowStale)
				var got []string
				if m != nil {
					got = lowered(m)
				}
				found[result]++
				if diff := cmp.Diff(want, got); diff != "" || result != wantResult {
					t.Fatalf("config %d, step %d: result %d, the twin says %d (-twin +got):\n%s", i, n, result, wantResult, diff)
				}
			}
		}
		checkShards(t, c)
		if found[Hit] < 150 || cfg.StaleFor > 0 && found[Stale] < 40 || cfg.FailureTTL > 0 && found[Failed] < 20 {
			t.Errorf("config %d: results %v, the story is too dull", i, found)
		}
	}
}
