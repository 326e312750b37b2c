package forwarder

import (
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Stats holds counters since New. The hits of a batch that a [Part] is working on are not
// included. Every query counts in exactly one of Rejected, Hits, Forwarded, Coalesced and Looped.
type Stats struct {
	// Rejected counts packets without a valid question, by verdict. Those of wire.Drop were
	// not answered.
	Rejected map[wire.Verdict]uint64
	// Hits counts answers given at once, from any source, including refusals. FailedHits and
	// Local are those from remembered failures and from local data. Stale counts expired
	// answers, given at once or when servers failed or were slow.
	Hits, Stale, FailedHits, Local uint64
	Forwarded                      uint64              // questions sent to upstream servers for a client
	Refreshed                      uint64              // questions sent to upstream servers to refresh the cache
	Coalesced                      uint64              // queries that joined a question in flight
	OverLimit                      uint64              // queries refused because too many questions were in flight
	MadeRoom                       uint64              // questions answered early because too many were in flight
	Failed                         uint64              // queries answered with SERVFAIL because no server answered
	Looped                         uint64              // our own questions that came back (Config.Upstream.DetectLoops)
	Panics                         uint64              // panics while handling a query
	Purged                         uint64              // cache entries removed because their names now have other servers
	Answers                        Answers             // answers to clients, by source
	Completions                    [Completions]uint64 // names tried in place of others, by outcome (Config.Complete)
	InFlight                       int                 // questions in flight now
	Waiting                        int                 // queries that have joined one of them

	CacheSize int // Config.Cache.Entries
	// Cache holds the cache's counters; Insertions and Evictions count from the last Clear.
	Cache answercache.Stats
	// Upstream holds the counters of upstream servers.
	Upstream upstream.Stats
}

// tallyShards is enough that processors rarely use the same tally at the same time.
const tallyShards = 16

// tally is a share of the counters of Stats, which describes each. Any goroutine may change it.
type tally struct {
	// Counters with the names of Stats.
	hits, stale, failedHits, local             atomic.Uint64
	forwarded, refreshed, coalesced, overLimit atomic.Uint64 // see above
	failed, looped                             atomic.Uint64 // see above

	answers  answerTally                        // Stats.Answers
	rejected [wire.CookieOnly + 1]atomic.Uint64 // Stats.Rejected, by verdict
	_        [64]byte                           // keeps tallies in different cache lines
}

// tally returns the tally for a client, chosen by its port.
func (f *Forwarder) tally(to listener.ReplyTo) *tally {
	return &f.tallies[to.Peer().Port()%tallyShards]
}

// Stats returns the current counters, read one by one.
func (f *Forwarder) Stats() Stats {
	st := f.state.Load()
	s := Stats{
		Rejected: map[wire.Verdict]uint64{},
		MadeRoom: f.madeRoom.Load(),
		Panics:   f.panics.Count(), Purged: f.purged.Load(),
		CacheSize: max(st.cfg.Cache.Entries, 0),
		Cache:     st.cache.Stats(), Upstream: f.set.Stats(),
	}
	s.InFlight, s.Waiting = f.limits.inFlight()
	for i := range s.Completions {
		s.Completions[i] = f.completions.outcomes[i].Load()
	}
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

// Each calls fn for every entry of the cache until fn returns false. now is the current time on
// the clock of Item.Expires.
func (f *Forwarder) Each(fn func(now int64, item answercache.Item) bool) {
	now := f.now()
	f.state.Load().cache.Each(func(item answercache.Item) bool { return fn(now, item) })
}
