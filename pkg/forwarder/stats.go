package forwarder

import (
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Stats counts what happened since New, but for the hits of a batch that a
// [Part] has under way. Every query is in exactly one of Rejected, Hits,
// Forwarded, Coalesced, Looped.
type Stats struct {
	// Rejected counts packets that hold no question to answer, by verdict; those
	// of wire.Drop got no answer.
	Rejected map[wire.Verdict]uint64
	// Hits are answers given at once, from whatever source, refusals included;
	// FailedHits and Local are those of remembered failures and local data. Stale
	// are expired answers, given at once or when servers failed or were slow.
	Hits, Stale, FailedHits, Local uint64
	Forwarded                      uint64  // questions that upstream was asked for an asker
	Refreshed                      uint64  // questions that upstream was asked for the cache
	Coalesced                      uint64  // questions that joined one in flight
	OverLimit                      uint64  // REFUSED because too many were in flight
	MadeRoom                       uint64  // ended early because too many were in flight
	Failed                         uint64  // SERVFAIL because no server answered
	Looped                         uint64  // our own questions that came back (Config.Upstream.DetectLoops)
	Panics                         uint64  // queries that crashed
	Purged                         uint64  // entries that left the cache because other servers are asked now
	Answers                        Answers // to clients, by where they came from
	InFlight                       int     // questions now
	Waiting                        int     // askers that joined one, now

	CacheSize int // Config.Cache.Entries
	// Cache is since the last Clear as far as insertions and evictions go.
	Cache    answercache.Stats
	Upstream upstream.Stats
}

// tallyShards are enough that cores rarely share one.
const tallyShards = 16

// tally is a part of the counters, chosen by the client's port.
type tally struct {
	hits, stale, failedHits, local             atomic.Uint64
	forwarded, refreshed, coalesced, overLimit atomic.Uint64
	failed, looped                             atomic.Uint64
	answers                                    answerTally
	rejected                                   [wire.CookieOnly + 1]atomic.Uint64
	_                                          [64]byte
}

func (f *Forwarder) tally(to listener.ReplyTo) *tally {
	return &f.tallies[to.Peer().Port()%tallyShards]
}

// Stats returns the counters as they are now, read one by one.
func (f *Forwarder) Stats() Stats {
	st := f.state.Load()
	s := Stats{
		Rejected: map[wire.Verdict]uint64{},
		MadeRoom: f.madeRoom.Load(),
		Panics:   f.panics.Load(), Purged: f.purged.Load(),
		CacheSize: max(st.cfg.Cache.Entries, 0),
		Cache:     st.cache.Stats(), Upstream: f.set.Stats(),
	}
	s.InFlight, s.Waiting = f.inFlight()
	s.Cache.Insertions -= st.base.Insertions
	s.Cache.Evictions -= st.base.Evictions
	for i := range f.tallies {
		t := &f.tallies[i]
		s.Hits += t.hits.Load()
		s.Stale += t.stale.Load()
		s.FailedHits += t.failedHits.Load()
		s.Local += t.local.Load()
		s.Forwarded += t.forwarded.Load()
		s.Refreshed += t.refreshed.Load()
		s.Coalesced += t.coalesced.Load()
		s.OverLimit += t.overLimit.Load()
		s.Failed += t.failed.Load()
		s.Looped += t.looped.Load()
		t.answers.addTo(&s.Answers)
		for v := range t.rejected {
			s.Rejected[wire.Verdict(v)] += t.rejected[v].Load()
		}
	}
	return s
}

// Each calls fn for every entry of the cache until it returns false; now is the
// time to compare their ends with.
func (f *Forwarder) Each(fn func(now int64, item answercache.Item) bool) {
	now := f.now()
	f.state.Load().cache.Each(func(item answercache.Item) bool { return fn(now, item) })
}

// buffers is a pool of buffers for one whole message.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, wire.MaxMessage)
	return &p
}

func (b *buffers) put(p *[]byte) { b.pool.Put(p) }
