package forwarder

import (
	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// handleVerdict handles a query for which ParseQuery returned v. It sets q.out to the answer,
// or leaves q.out empty if the query is answered later or not at all.
func (q *Query) handleVerdict(v wire.Verdict) {
	f, m := q.f, q.Msg
	if v != wire.Accept {
		q.reject(v)
		return
	}
	if q.st.cfg.Upstream.DetectLoops && m.Class == wire.ClassIN && f.set.Looped(m.Name, m.Type) {
		f.tally(q.to).looped.Add(1)
		q.to.Drop()
		return
	}
	if q.st.log != nil {
		q.serial = f.serial.Add(1)
		q.log(Event{Kind: EventQuery}, nil)
	}
	q.answer()
}

// reject answers a query that is not a valid question.
func (q *Query) reject(v wire.Verdict) {
	q.f.tally(q.to).rejected[v].Add(1)
	if v == wire.Drop {
		q.to.Drop()
		return
	}
	q.source, q.extended = SourceError, v.Rcode() > 15 // the header has room for four bits
	q.out = wire.AppendError(q.reply, q.Msg, v.Rcode(), q.opt(wire.ExtendedError{}))
}

// answer tries the sources of answers in order: stages, cache, upstream servers.
func (q *Query) answer() {
	m, st := q.Msg, q.st
	if len(q.key) == 0 {
		q.key = answercache.AppendKey(q.key, m)
	}
	q.Name = q.key[:len(m.Name):len(m.Name)]
	if rcode, refused := refusedType(m.Type); refused && m.Class != wire.ClassCH {
		q.AnswerError(rcode, wire.Extended(wire.EDENotSupported, ""))
		return
	}
	for _, hook := range st.query {
		if hook(q) {
			return
		}
	}
	if m.Class == wire.ClassCH {
		q.AnswerError(wire.RcodeNotImp, wire.ExtendedError{})
		return
	}
	mode := joinWaits
	if q.usesCache() {
		result := q.lookup()
		if len(q.out) > 0 || result == answercache.Hinted {
			return
		}
		if result == answercache.Expired && st.servesStale() {
			mode = joinStale
		}
	}
	q.forward(mode)
}

// lookup answers from the cache, and starts to refresh a stale answer.
func (q *Query) lookup() answercache.LookupResult {
	st := q.st
	if q.cache != st.cache { // the cache may change with the configuration
		q.cache, q.spot = st.cache, st.cache.Spot(q.key)
	}
	when := answercache.When{Now: q.now, AllowStale: q.inner&innerStale != 0 && !st.cfg.StaleAtOnce}
	out, result := st.cache.LookupKey(q.reply, q.Msg, q.key, q.spot, when)
	refresh := result == answercache.Expired && st.cfg.StaleAtOnce // and no failure to refresh it is remembered
	if refresh {
		when.AllowStale = true
		out, result = st.cache.LookupKey(q.reply, q.Msg, q.key, q.spot, when)
	}
	switch result {
	case answercache.Hit:
		q.countHit()
		if !q.Msg.EDNS.Present && len(out)-len(q.reply) <= wire.MinPayload && st.log == nil && len(st.hit) == 0 {
			q.out = out // nothing to add, and small enough for any client
			return result
		}
		q.answerCached(out, result)
	case answercache.Failed:
		q.countHit()
		q.answerCached(out, result)
	case answercache.Hinted:
		q.answerHinted(out)
	case answercache.Stale:
		q.countHit()
		q.answerCached(out, result)
		if refresh {
			q.refresh()
		}
	}
	return result
}

// refusedType reports whether a question of type t makes no sense for a forwarder, and the
// rcode of the answer.
func refusedType(t uint16) (rcode int, refused bool) {
	switch t {
	case wire.TypeOPT, wire.TypeTKEY, wire.TypeTSIG:
		return wire.RcodeFormErr, true
	case wire.TypeAXFR, wire.TypeIXFR:
		return wire.RcodeRefused, true
	}
	return 0, false
}

// forward sends the question to the servers of its domain, unless a stage answers it.
func (q *Query) forward(mode joinMode) {
	f := q.f
	q.epoch = q.st.cache.Epoch() // before the servers are chosen
	q.routes = f.routing()
	d := q.routes.table.Lookup(q.Name, q.Msg.Type)
	for _, hook := range q.st.miss {
		if hook(q, d) {
			return
		}
	}
	switch d.Kind {
	case upstream.Ask:
	case upstream.Unavailable:
		q.AnswerError(wire.RcodeServFail, wire.Extended(wire.EDENoReachableAuthority, d.Reason))
		return
	default:
		q.AnswerError(wire.RcodeRefused, wire.Extended(wire.EDENotReady, "no upstream server for this name"))
		return
	}
	if q.inner&innerLooks != 0 {
		return
	}
	result := f.join(q, d.Group, mode)
	// Another question may have used the room that was made for this one.
	for tries := 0; result == refused && tries < roomTries && f.makeRoom(d.Group.Domain()); tries++ {
		result = f.join(q, d.Group, mode)
	}
	switch result {
	case joined:
		if q.inner == 0 {
			f.tally(q.to).coalesced.Add(1)
		}
		return
	case began:
		if q.inner == 0 {
			f.tally(q.to).forwarded.Add(1)
		}
		return
	}
	if mode == joinStale {
		if out, found := q.st.cache.Lookup(q.reply, q.Msg, f.now(), true); found != answercache.Miss {
			q.countHit()
			q.answerCached(out, found)
			return
		}
	}
	if result == refusedTypes {
		f.tally(q.to).overLimit.Add(1)
		q.AnswerError(wire.RcodeRefused, wire.Extended(wire.EDEOther, "too many questions about this name are in flight"))
		return
	}
	q.overLimit(d.Group)
}

// refresh asks servers for an answer that is only for the cache.
func (q *Query) refresh() {
	q.epoch = q.st.cache.Epoch() // before the servers are chosen
	q.routes = q.f.routing()
	d := q.routes.table.Lookup(q.Name, q.Msg.Type)
	if d.Kind == upstream.Ask && q.f.join(q, d.Group, joinRefresh) == began {
		q.f.tallies[0].refreshed.Add(1)
	}
}

// overLimit refuses a question because too many are in flight.
func (q *Query) overLimit(g *upstream.Group) {
	f, cfg := q.f, &q.st.cfg
	f.tally(q.to).overLimit.Add(1)
	if n, ok := f.full.Allow(f.now()); ok {
		cfg.OnOverLimit(OverLimit{Domain: g.Domain(), Max: cfg.InFlight, Suppressed: n})
	}
	q.AnswerError(wire.RcodeRefused, wire.Extended(wire.EDEOther, "too many queries in flight"))
}
