package forwarder

import (
	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// asker is who wants an answer: a client of a listener, or this program.
type asker struct {
	to      listener.ReplyTo
	resolve func(reply []byte, err error) // not nil: Resolve
	serial  uint64                        // in the query log
	part    *Part                         // whose Handle runs, nil otherwise
	// tags are EDNS options about a, private whether they are about a alone.
	tags    string
	private bool
}

// limit is the greatest size of a's answer.
func (a *asker) limit(q *wire.Query, payload uint16) int {
	if a.resolve != nil || a.to.Stream() {
		return wire.MaxMessage
	}
	return q.ReplyLimit(int(payload))
}

// cacheKey is what is known of a question's place in the cache.
type cacheKey struct {
	key   []byte             // empty memory for it, or the key
	cache *answercache.Cache // the one that spot is of
	spot  answercache.Spot
	now   int64 // for the cache
}

// handle answers a packet, or sees to it that it is answered later.
func (f *Forwarder) handle(packet []byte, a *asker, reply []byte, k *cacheKey) []byte {
	var q wire.Query
	verdict := wire.ParseQuery(packet, &q)
	return f.handleParsed(f.state.Load(), &q, verdict, a, reply, k)
}

// handleParsed is handle after reading the packet.
func (f *Forwarder) handleParsed(st *state, q *wire.Query, verdict wire.Verdict, a *asker, reply []byte, k *cacheKey) []byte {
	if verdict != wire.Accept {
		return f.reject(st, q, verdict, a, reply)
	}
	if st.cfg.Upstream.DetectLoops && q.Class == wire.ClassIN && f.set.Looped(q.Name, q.Type) {
		f.tally(a.to).looped.Add(1)
		return nil
	}
	if st.log != nil {
		a.serial = f.serial.Add(1)
		f.logQuery(st, q, a)
	}
	return f.answer(st, q, a, reply, k)
}

// reject answers what is not a question that can be asked.
func (f *Forwarder) reject(st *state, q *wire.Query, v wire.Verdict, a *asker, reply []byte) []byte {
	f.tally(a.to).rejected[v].Add(1)
	if v == wire.Drop {
		return nil
	}
	var b wire.Cookie
	return wire.AppendError(reply, q, v.Rcode(), f.opt(st, q, a, &b))
}

// answer goes through the sources of answers in their order. An empty result
// means that the answer comes later.
func (f *Forwarder) answer(st *state, q *wire.Query, a *asker, reply []byte, k *cacheKey) []byte {
	if q.Class == wire.ClassCH {
		return f.answerChaos(st, q, a, reply)
	}
	if rcode, refused := refusedType(q.Type); refused {
		return f.errorReply(st, q, a, reply, rcode, wire.Extended(wire.EDENotSupported, ""))
	}
	if len(k.key) == 0 {
		k.key = answercache.AppendKey(k.key, q)
	}
	key := k.key
	name := key[:len(q.Name):len(q.Name)]
	if st.local != nil || st.filter != nil {
		if out, ok := f.answerLocal(st, q, name, a, reply); ok {
			return out
		}
	}
	if st.tags != nil {
		a.tags, a.private = st.tags.of(a.to.Peer().Addr())
	}
	stale := false
	if st.cache != nil && cacheable(q) && !a.private {
		if k.cache != st.cache { // it changes with the configuration
			k.cache, k.spot = st.cache, st.cache.Spot(key)
		}
		out, result := st.cache.LookupKey(reply, q, key, k.spot, k.now, st.cfg.StaleAtOnce)
		switch result {
		case answercache.Hit:
			if !q.EDNS.Present && len(out)-len(reply) <= wire.MinPayload && st.log == nil && !st.filter.removes() {
				f.countHit(a)
				return out // there is nothing to add, and it fits any client
			}
			return f.finishCached(st, q, a, out, len(reply), result)
		case answercache.Failed:
			return f.finishCached(st, q, a, out, len(reply), result)
		case answercache.Stale:
			out = f.finishCached(st, q, a, out, len(reply), result)
			if st.cfg.StaleAtOnce {
				f.refresh(st, q, name, a.tags)
			}
			return out
		case answercache.Expired:
			stale = st.cfg.ServeStale
		}
		if st.filter.removesAll(q.Type) && st.cache.HasRecords(key, k.now) {
			return f.answerFiltered(st, q, a, reply)
		}
	}
	return f.forward(st, q, name, a, reply, stale)
}

// answerFiltered answers that a name, which exists, has no data of a type that
// is removed from answers (--filter-AAAA and its like): the server need not be
// asked for what would be removed.
func (f *Forwarder) answerFiltered(st *state, q *wire.Query, a *asker, reply []byte) []byte {
	f.countHit(a)
	var b wire.Cookie
	opt := f.opt(st, q, a, &b)
	opt.EDE = wire.Extended(wire.EDEFiltered, "")
	out := wire.AppendError(reply, q, wire.RcodeSuccess, opt)
	if st.log != nil {
		f.logLocal(st, q, a, out[len(reply):], "")
	}
	return out
}

// cacheable reports whether the cache may be used at all: a question that asks
// not to be resolved gets what upstream has, and its answer may be less than
// others deserve.
func cacheable(q *wire.Query) bool {
	return q.Flags&wire.FlagRD != 0 && q.Class == wire.ClassIN
}

// refusedType reports types that make no sense as a question to a forwarder.
func refusedType(t uint16) (rcode int, refused bool) {
	switch t {
	case wire.TypeOPT, wire.TypeTKEY, wire.TypeTSIG:
		return wire.RcodeFormErr, true
	case wire.TypeAXFR, wire.TypeIXFR:
		return wire.RcodeRefused, true
	}
	return 0, false
}

// finishCached counts a hit and completes what the cache appended at
// reply[base:].
func (f *Forwarder) finishCached(st *state, q *wire.Query, a *asker, out []byte, base int, result answercache.Result) []byte {
	f.countHit(a)
	return f.completeCached(st, q, a, out, base, result)
}

// completeCached is finishCached for a query that was counted before, as
// forwarded or coalesced.
func (f *Forwarder) completeCached(st *state, q *wire.Query, a *asker, out []byte, base int, result answercache.Result) []byte {
	var (
		b   wire.Cookie
		opt wire.OPT
	)
	if q.EDNS.Present {
		opt = f.opt(st, q, a, &b)
	}
	switch result {
	case answercache.Stale:
		f.tally(a.to).stale.Add(1)
		opt.EDE = staleReason(out[base:])
	case answercache.Failed:
		f.tally(a.to).failedHits.Add(1)
		opt.EDE = wire.Extended(wire.EDECachedError, "")
	}
	if st.filter.removes() {
		out = st.filter.removeTypes(out, base, q, &opt)
	}
	if st.log != nil {
		f.logCached(st, q, a, out[base:], result)
	}
	return wire.FinishReply(out, base, q, a.limit(q, st.cfg.Payload), &opt)
}

// staleReason is the extended error of an expired answer, RFC 8914 §4.4 and
// §4.20.
func staleReason(msg []byte) wire.ExtendedError {
	if wire.Rcode(wire.Flags(msg)) == wire.RcodeNXDomain {
		return wire.Extended(wire.EDEStaleNXDomain, "")
	}
	return wire.Extended(wire.EDEStaleAnswer, "")
}

// errorReply answers with an rcode and the reason.
func (f *Forwarder) errorReply(st *state, q *wire.Query, a *asker, reply []byte, rcode int, ede wire.ExtendedError) []byte {
	f.countHit(a)
	if st.log != nil {
		f.logError(st, q, a, rcode, ede)
	}
	var b wire.Cookie
	opt := f.opt(st, q, a, &b)
	opt.EDE = ede
	return wire.AppendError(reply, q, rcode, opt)
}

// forward sends the question to the servers of its domain, or answers what
// needs none.
func (f *Forwarder) forward(st *state, q *wire.Query, name []byte, a *asker, reply []byte, stale bool) []byte {
	d := f.set.Table().Lookup(name, q.Type)
	switch d.Kind {
	case upstream.Literal:
		return f.answerLiteral(st, q, a, d.Addrs, reply)
	case upstream.LocalOnly:
		return f.answerLocalOnly(st, q, name, a, reply)
	case upstream.Nobody:
		return f.errorReply(st, q, a, reply, wire.RcodeRefused, wire.Extended(wire.EDENotReady, "no server for this name"))
	}
	switch f.join(st, d.Group, q, name, a, a.tags, stale) {
	case joined:
		f.tally(a.to).coalesced.Add(1)
		return nil
	case began:
		f.tally(a.to).forwarded.Add(1)
		return nil
	}
	if stale {
		if out, result := st.cache.Lookup(reply, q, f.now(), true); result != answercache.Miss {
			return f.finishCached(st, q, a, out, len(reply), result)
		}
	}
	return f.overLimit(st, q, a, d.Group, reply)
}

// overLimit refuses a question because too many wait (--dns-forward-max).
func (f *Forwarder) overLimit(st *state, q *wire.Query, a *asker, g *upstream.Group, reply []byte) []byte {
	f.tally(a.to).overLimit.Add(1)
	if n, ok := f.full.allow(f.now()); ok {
		st.cfg.Logger.Warn("Maximum number of concurrent DNS queries reached",
			"max", st.cfg.InFlight, "domain", g.Domain(), "suppressed", n)
	}
	return f.errorReply(st, q, a, reply, wire.RcodeRefused, wire.Extended(wire.EDEOther, "too many queries in flight"))
}
