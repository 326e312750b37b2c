package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// asker is who waits for an answer: a client of a listener, or this program.
type asker struct {
	to      listener.ReplyTo
	resolve func(reply *wire.Reply, err error) // set for Resolve only
	serial  uint64                             // in the query log, from 1
}

// Query is one query in progress. It belongs to one goroutine; stages may use
// it only during the call of a hook. The exported fields are for stages; all
// others are set by the forwarder.
type Query struct {
	asker
	// Msg is the query as received. Read only; its names alias the packet.
	Msg *wire.Query
	// Name is the question's name in canonical (lower-case) wire form. Read only.
	Name []byte
	// Options are EDNS options in wire form that a stage adds to the question
	// when servers are asked. A stage's Query hook may set it.
	Options string
	// Private means that the answer depends on who asks: it is neither taken
	// from the cache nor kept there. A stage's Query hook may set it.
	Private bool

	f        *Forwarder
	st       *state // the configuration that holds for this query
	part     *Part  // whose Handle runs, nil otherwise; it counts hits
	key      []byte // in the cache, or empty memory for it
	cache    *answercache.Cache
	spot     answercache.Spot // of key in cache
	epoch    answercache.Epoch
	now      int64   // Forwarder.now, for the cache
	routes   routing // what decides whom to ask
	reply    []byte  // where the answer is appended
	out      []byte  // the answer, reply included
	build    wire.Builder
	cookie   wire.Cookie // memory for the answer's cookie
	source   Source      // of the answer
	extended bool        // the answer's rcode is not in its header alone
}

// clear forgets the last query and keeps what may be used again.
func (q *Query) clear() {
	q.asker, q.Msg, q.Name, q.Options, q.Private = asker{}, nil, nil, "", false
	q.st, q.key, q.cache, q.epoch, q.reply, q.out, q.routes = nil, nil, nil, answercache.Epoch{}, nil, nil, routing{}
}

// Client returns the address of the client, not valid for this program's own
// questions.
func (q *Query) Client() netip.Addr { return q.to.Peer().Addr() }

// Asked returns the local address that the query was sent to; it is not valid
// when that is unknown.
func (q *Query) Asked() netip.Addr { return q.to.Local() }

// Now returns a time in nanoseconds that only grows; queries that arrive together
// may have the same.
func (q *Query) Now() int64 { return q.now }

// Stream reports whether the query came over TCP.
func (q *Query) Stream() bool { return q.to.Stream() }

// RoundRobin reports whether equal addresses are to be given in another order
// each time.
func (q *Query) RoundRobin() bool { return q.st.cfg.Cache.RoundRobin }

// Route returns what the routing table says about a name in canonical form.
func (q *Query) Route(name []byte, qtype uint16) upstream.Decision {
	return q.f.set.Table().Lookup(name, qtype)
}

// HasLiteral reports whether the routing table has an address for the name.
func (q *Query) HasLiteral() bool { return hasLiteral(q.f, q.Name) }

// hasLiteral reports whether the routing table has an address for a name in
// canonical form.
func hasLiteral(f *Forwarder, name []byte) bool {
	t := f.set.Table()
	return t.Lookup(name, wire.TypeA).Kind == upstream.Literal || t.Lookup(name, wire.TypeAAAA).Kind == upstream.Literal
}

// HasRecords reports whether the cache holds a valid answer with records for
// any type of the name.
func (q *Query) HasRecords() bool {
	return q.usesCache() && q.st.cache.HasRecords(q.key, q.now)
}

// Stats returns the forwarder's counters.
func (q *Query) Stats() Stats { return q.f.Stats() }

// usesCache reports whether the cache may be used at all: a question that asks
// not to be resolved gets what upstream has, and its answer may be less than
// others deserve.
func (q *Query) usesCache() bool { return q.st.cache != nil && !q.Private && cacheable(q.Msg) }

func cacheable(q *wire.Query) bool {
	return q.Flags&wire.FlagRD != 0 && q.Class == wire.ClassIN
}

// limit is the greatest size of the answer in octets.
func (q *Query) limit() int {
	if q.resolve != nil || q.to.Stream() {
		return wire.MaxMessage
	}
	return q.Msg.ReplyLimit(int(q.st.cfg.Upstream.Payload))
}

// opt is the OPT record of the answer. Its cookie, if the query has one, lies in
// q.
func (q *Query) opt(reason wire.ExtendedError) wire.OPT {
	o := wire.OPT{Size: q.st.cfg.Upstream.Payload, EDE: reason, Raw: q.st.cfg.ReplyOptions}
	if q.Msg.EDNS.ClientCookie != nil && q.resolve == nil {
		o.Cookie = q.f.secret.Cookie(&q.cookie, q.Msg, q.to.Peer().Addr(), uint32(q.f.wall()))
	}
	return o
}

// Build begins an answer made of records. [Query.Answer] ends it.
func (q *Query) Build() *wire.Builder {
	q.build.Start(q.reply, q.Msg, q.limit())
	return &q.build
}

// Answer ends the answer that Build began. source names the data for the query
// log. It returns true, for a hook to return.
func (q *Query) Answer(source string) bool {
	out := q.build.Finish(q.opt(wire.ExtendedError{}))
	q.finish(out, Event{Kind: EventLocal, Source: source})
	return true
}

// AnswerEmpty answers without records. flags may hold an rcode and AA. reason
// is sent as an extended error if it is present. It returns true, for a hook to
// return.
func (q *Query) AnswerEmpty(flags uint16, reason wire.ExtendedError) bool {
	out := wire.AppendError(q.reply, q.Msg, wire.Rcode(flags), q.opt(reason))
	msg := out[len(q.reply):]
	wire.SetFlags(msg, wire.Flags(msg)|flags&wire.FlagAA)
	q.finish(out, Event{Kind: EventLocal})
	return true
}

// AnswerTruncated answers without records, and with TC, which sends the client to
// TCP. It returns true, for a hook to return.
func (q *Query) AnswerTruncated() bool {
	q.finish(wire.AppendTruncated(q.reply, q.Msg, q.opt(wire.ExtendedError{})), Event{Kind: EventTruncated})
	return true
}

// AnswerError answers with an rcode and the reason. It returns true, for a hook
// to return.
func (q *Query) AnswerError(rcode int, reason wire.ExtendedError) bool {
	out := wire.AppendError(q.reply, q.Msg, rcode, q.opt(reason))
	q.finish(out, Event{Kind: EventError, Rcode: rcode, Reason: reason.Code, HasReason: reason.Present})
	return true
}

// answerCached ends the answer that the cache appended to q.reply.
func (q *Query) answerCached(out []byte, result answercache.Result) {
	base := len(q.reply)
	e := Event{Kind: EventCached}
	var reason wire.ExtendedError
	switch result {
	case answercache.Stale:
		q.f.tally(q.to).stale.Add(1)
		reason, e.Kind, q.source = staleReason(out[base:]), EventStale, SourceStale
	case answercache.Failed:
		q.f.tally(q.to).failedHits.Add(1)
		reason, q.source = wire.Extended(wire.EDECachedError, ""), SourceFailure
	}
	for _, hit := range q.st.hit {
		var why wire.ExtendedError
		if out, why = hit(q, out, base); why.Present && !reason.Present {
			reason = why
		}
	}
	if q.st.log != nil {
		q.log(e, out[base:])
	}
	var opt wire.OPT
	if q.Msg.EDNS.Present {
		opt = q.opt(reason)
	}
	q.out = wire.FinishReply(out, base, q.Msg, q.limit(), &opt)
}

// staleReason is the extended error of an expired answer, RFC 8914 §4.4 and
// §4.20.
func staleReason(msg []byte) wire.ExtendedError {
	if wire.Rcode(wire.Flags(msg)) == wire.RcodeNXDomain {
		return wire.Extended(wire.EDEStaleNXDomain, "")
	}
	return wire.Extended(wire.EDEStaleAnswer, "")
}

// finish is the end of every answer that neither the cache nor a server gave:
// it is counted as given at once, and logged.
func (q *Query) finish(out []byte, e Event) {
	q.countHit()
	q.source = SourceError
	if e.Kind == EventLocal {
		q.source = SourceLocal
		q.f.tally(q.to).local.Add(1)
	}
	if q.st.log != nil {
		q.log(e, out[len(q.reply):])
	}
	q.out = out
}

// countHit counts an answer given at once.
func (q *Query) countHit() {
	if q.part != nil {
		q.part.hits++
		return
	}
	q.f.tally(q.to).hits.Add(1)
}
