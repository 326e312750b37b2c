package forwarder

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// counted returns the counts that are not zero, as "source RCODE n".
func counted(a *Answers) []string {
	var out []string
	for s := range Sources {
		for slot, n := range a.Count[s] {
			if n != 0 {
				out = append(out, fmt.Sprintf("%v %s %d", s, wire.RcodeSlotName(slot), n))
			}
		}
	}
	slices.Sort(out)
	return out
}

// Each answer is counted once, by its source and rcode. Answers that had to wait are in the
// histogram at once.
func TestAnswersAreCounted(t *testing.T) {
	servers := newFakeServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		if q.Question[0].Name == "none.example." {
			return nil
		}
		return zone(0, "www.example. 60 A 127.1.0.1")(q, tcp)
	})
	cfg := to(servers)
	cfg.Upstream.Timeout, cfg.Upstream.FirstRetry = 300*time.Millisecond, 0
	cfg.Cache.FailureTTL = 60
	cfg.Stages = []Stage{{Query: func(q *Query) bool {
		switch q.Msg.Type {
		case dns.TypeTXT:
			return q.AnswerEmpty(0, wire.ExtendedError{})
		case dns.TypeMX:
			return q.AnswerError(wire.RcodeRefused, wire.ExtendedError{})
		}
		return false
	}}}
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	c.Ask(question("www.example.", dns.TypeA))
	c.Ask(question("www.example.", dns.TypeA))
	c.Ask(question("www.example.", dns.TypeA, "edns"))
	c.Ask(question("none.example.", dns.TypeA))
	c.Ask(question("none.example.", dns.TypeA))
	c.Ask(question("www.example.", dns.TypeTXT))
	c.Ask(question("www.example.", dns.TypeMX))
	bad := question("www.example.", dns.TypeA, "edns")
	bad.IsEdns0().SetVersion(1)
	c.Ask(bad)
	f.Resolve(&wire.Query{Name: []byte("\x03www\x07example\x00"), Type: dns.TypeA, Class: wire.ClassIN, Flags: wire.FlagRD}, func(*wire.Reply, error) {})
	stats := f.Stats()
	want := []string{
		"cache NOERROR 2", "error OTHER 1", "error REFUSED 1", "failure SERVFAIL 1", "local NOERROR 1", "none SERVFAIL 1", "upstream NOERROR 1",
	}
	if got := counted(&stats.Answers); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	none := stats.Answers.Durations[SourceNone]
	if n := none[11] + none[12] + none[13]; n != 1 || stats.Answers.Sum[SourceNone] < 200*time.Millisecond {
		t.Errorf("no wait of about 300 ms in %v, sum %v", none, stats.Answers.Sum[SourceNone])
	}
}

func TestStaleAnswersAreCounted(t *testing.T) {
	f, c, _ := stale(t, rfc8767, silence)
	c.Ask(question("www.example.", dns.TypeA))
	stats := f.Stats()
	if n := stats.Answers.Count[SourceStale][0]; n != 1 {
		t.Errorf("%q: %d stale answers, want 1", counted(&stats.Answers), n)
	}
}

// For answers given at once, the histogram lacks less than one sample for each part, and a
// batch reads the clock at most once.
func TestAnswersAreSampled(t *testing.T) {
	for _, batch := range []int{1, 3, 16, 40} {
		var tally answerTally
		var part partAnswers
		clocks, sent := 0, uint64(0)
		for range 100 {
			for range batch {
				part.countAnswer(SourceCache, 0)
				sent++
			}
			before := clocks
			part.flush(&tally, func() time.Duration { clocks++; return 20 * time.Microsecond })
			if clocks > before+1 {
				t.Fatalf("the clock was read %d times for a batch", clocks-before)
			}
			var a Answers
			tally.addTo(&a)
			if got := a.Durations[SourceCache][1]; got > sent || sent-got >= sampleEvery || a.Count[SourceCache][0] != sent {
				t.Fatalf("batch of %d: %d of %d measured, %d counted", batch, got, sent, a.Count[SourceCache][0])
			}
			if a.Sum[SourceCache] != time.Duration(a.Durations[SourceCache][1])*20*time.Microsecond {
				t.Fatalf("sum %v of %d", a.Sum[SourceCache], a.Durations[SourceCache][1])
			}
		}
		if most := 1 + 100*batch/sampleEvery; batch < sampleEvery && clocks > most {
			t.Errorf("batch of %d: the clock was read %d times, want %d at most", batch, clocks, most)
		}
	}
}

// Counting a hit allocates nothing.
func TestCountingHitsAllocatesNothing(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	server := newFakeServer(t, zone(0, "www.example. 60 A 127.1.0.1"))
	f := run(t, Config{
		Upstream: upstream.Config{Routes: []upstream.Route{{Servers: []upstream.Server{{Addr: server.Addr}}}}},
		Cache:    answercache.Config{Entries: 10},
	})
	newClient(t, f, 2, false).Ask(question("www.example.", dns.TypeA))
	p := f.Split().(*Part)
	packet, out := pack(question("www.example.", dns.TypeA)), make([]byte, 0, 512)
	before := f.Stats().Answers.Count[SourceCache][0]
	to := listener.NewReplyTo(nil, netip.MustParseAddrPort("127.0.0.1:4000"), netip.Addr{}, false)
	const runs = 1000
	allocs := testing.AllocsPerRun(runs, func() {
		p.Handle(packet, to, out)
		p.Flush()
	})
	if n := f.Stats().Answers.Count[SourceCache][0] - before; allocs != 0 || n != runs+1 {
		t.Errorf("%v allocations for each hit; %d counted, want %d", allocs, n, runs+1)
	}
}
