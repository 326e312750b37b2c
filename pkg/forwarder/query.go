package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// recipient is who gets an answer: a client of a listener, or this program itself.
type recipient struct {
	to      listener.ReplyTo                   // the client; zero for Resolve
	resolve func(reply *wire.Reply, err error) // set only for Resolve
	serial  uint64                             // number in the query log, from 1
	inner   inner                              // not 0 if the question is asked to complete a name
}

// Query is one query in progress. It belongs to one goroutine; stages may use it only during the
// call of a hook. The exported fields are for stages; the forwarder sets all others.
type Query struct {
	recipient // who gets the answer
	// Msg is the query as received. Stages must not change it. It shares memory with the
	// packet.
	Msg *wire.Query
	// Name is the question's name in canonical (lower-case) wire form. Stages must not change
	// it.
	Name []byte
	// Options holds EDNS options in wire form for the question to upstream servers. The Query
	// hook of a stage may set it.
	Options string
	// Private means that the answer depends on the client: the cache is not used. The Query
	// hook of a stage may set it.
	Private bool

	f        *Forwarder         // the forwarder that answers
	st       *snapshot          // the configuration for this query
	part     *Part              // the Part whose Handle runs, or nil; it counts hits
	key      []byte             // the key in the cache, or empty memory for it
	cache    *answercache.Cache // the cache that spot belongs to; nil if spot is not set
	spot     answercache.Spot   // where key is in cache
	epoch    answercache.Epoch  // the cache's epoch before routes was read
	now      int64              // Forwarder.now when the query arrived
	routes   routing            // the routes by which servers are chosen
	reply    []byte             // the memory to append the answer to
	out      []byte             // reply with the answer appended; empty if there is none yet
	build    wire.Builder       // writes answers of stages
	cookie   wire.Cookie        // memory for the answer's cookie
	source   Source             // where the answer came from
	extended bool               // the answer's rcode is larger than its header can hold
	rule     string             // the argument of the last call of Because
}

// clear drops the data of the last query, but keeps memory that can be reused.
func (q *Query) clear() {
	q.recipient, q.Msg, q.Name, q.Options, q.Private = recipient{}, nil, nil, "", false
	q.st, q.key, q.cache, q.epoch, q.reply, q.out, q.routes = nil, nil, nil, answercache.Epoch{}, nil, nil, routing{}
}

// Client returns the address of the client. It is not valid for this program's own questions.
func (q *Query) Client() netip.Addr { return q.to.Peer().Addr() }

// Asked returns the local address that the query was sent to. It is not valid if the address is
// not known.
func (q *Query) Asked() netip.Addr { return q.to.Local() }

// Now returns the time of the query in nanoseconds of a monotonic clock. Queries that arrive
// together may have the same time.
func (q *Query) Now() int64 { return q.now }

// Stream reports whether the query came over TCP.
func (q *Query) Stream() bool { return q.to.Stream() }

// RoundRobin reports whether the addresses in answers rotate.
func (q *Query) RoundRobin() bool { return q.st.cfg.Cache.RoundRobin }

// Route returns the decision of the routing table for a name in canonical form.
func (q *Query) Route(name []byte, qtype uint16) upstream.Decision {
	return q.f.WouldAsk(name, qtype)
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

// usesCache reports whether the cache may be used. A query without RD is always forwarded,
// because its answer may be less complete than other clients need.
func (q *Query) usesCache() bool { return q.st.cache != nil && !q.Private && cacheable(q.Msg) }

// cacheable reports whether the answer to q may be cached.
func cacheable(q *wire.Query) bool {
	return q.Flags&wire.FlagRD != 0 && q.Class == wire.ClassIN
}

// limit returns the largest size of the answer in octets.
func (q *Query) limit() int {
	if q.resolve != nil || q.inner != 0 || q.to.Stream() {
		return wire.MaxMessage
	}
	return q.Msg.ReplyLimit(int(q.st.cfg.Upstream.Payload))
}

// opt returns the OPT record of the answer. The memory of its cookie is in q.
func (q *Query) opt(reason wire.ExtendedError) wire.OPT {
	o := wire.OPT{Size: q.st.cfg.Upstream.Payload, EDE: reason, Raw: q.st.cfg.ReplyOptions}
	if q.Msg.EDNS.ClientCookie != nil && q.resolve == nil {
		o.Cookie = q.f.secret.Cookie(&q.cookie, q.Msg, q.to.Peer().Addr(), uint32(q.f.wall()))
	}
	return o
}

// Build begins an answer with records. Call [Query.Answer] to complete it.
func (q *Query) Build() *wire.Builder {
	q.build.Start(q.reply, q.Msg, q.limit())
	return &q.build
}

// Answer completes the answer that Build began. source names the local data for the query log. It
// returns true, for a hook to return.
func (q *Query) Answer(source string) bool {
	out := q.build.Finish(q.opt(wire.ExtendedError{}))
	q.finish(out, Event{Kind: EventLocal, Source: source})
	return true
}

// AnswerEmpty answers without records. flags may hold an rcode and AA. reason, if present, is sent
// as an extended error. It returns true, for a hook to return.
func (q *Query) AnswerEmpty(flags uint16, reason wire.ExtendedError) bool {
	return q.answerBare(flags, reason, Event{Kind: EventLocal, Reason: reason.Code, HasReason: reason.Present})
}

// AnswerNoName answers that the reverse name of addr, or of a network that begins with it, does
// not exist. The query log shows addr. It returns true, for a hook to return.
func (q *Query) AnswerNoName(addr netip.Addr, flags uint16) bool {
	return q.answerBare(wire.RcodeNXDomain|flags&wire.FlagAA, wire.ExtendedError{}, Event{Kind: EventLocal, Addr: addr})
}

// answerBare answers without records, with the rcode and AA in flags. It returns true.
func (q *Query) answerBare(flags uint16, reason wire.ExtendedError, e Event) bool {
	out := wire.AppendError(q.reply, q.Msg, wire.Rcode(flags), q.opt(reason))
	msg := out[len(q.reply):]
	wire.SetFlags(msg, wire.Flags(msg)|flags&wire.FlagAA)
	q.finish(out, e)
	return true
}

// AnswerTruncated answers without records and with TC, which makes the client ask again over TCP.
// It returns true, for a hook to return.
func (q *Query) AnswerTruncated() bool {
	q.finish(wire.AppendTruncated(q.reply, q.Msg, q.opt(wire.ExtendedError{})), Event{Kind: EventTruncated})
	return true
}

// AnswerError answers with an rcode and, if present, the reason as an extended error. It returns
// true, for a hook to return.
func (q *Query) AnswerError(rcode int, reason wire.ExtendedError) bool {
	out := wire.AppendError(q.reply, q.Msg, rcode, q.opt(reason))
	q.finish(out, Event{Kind: EventError, Rcode: rcode, Reason: reason.Code, HasReason: reason.Present})
	return true
}

// answerCached completes the answer that the cache appended to q.reply.
func (q *Query) answerCached(out []byte, result answercache.LookupResult) {
	base := len(q.reply)
	e := Event{Kind: EventCached}
	var reason wire.ExtendedError
	completed := false
	switch result {
	case answercache.Stale:
		q.f.tally(q.to).stale.Add(1)
		out, completed = q.completeStale(out)
		reason, e.Kind, q.source = staleReason(out[base:]), EventStale, SourceStale
	case answercache.Failed:
		q.f.tally(q.to).failedHits.Add(1)
		reason, q.source = wire.Extended(wire.EDECachedError, ""), SourceFailure
	}
	for _, hit := range q.st.hit {
		if completed {
			break // the stages have already judged its parts
		}
		var why wire.ExtendedError
		if out, why = hit(q, out, base); why.Present {
			if e.Reason, e.HasReason = why.Code, true; !reason.Present {
				reason = why
			}
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

// staleReason returns the extended error of an expired answer (RFC 8914 §4.4 and §4.20).
func staleReason(msg []byte) wire.ExtendedError {
	if wire.Rcode(wire.Flags(msg)) == wire.RcodeNXDomain {
		return wire.Extended(wire.EDEStaleNXDomain, "")
	}
	return wire.Extended(wire.EDEStaleAnswer, "")
}

// finish completes an answer that comes neither from the cache nor from an upstream server: it
// counts and logs the answer.
func (q *Query) finish(out []byte, e Event) {
	q.countHit()
	q.source = SourceError
	if e.Kind == EventLocal {
		q.source = SourceLocal
		if q.inner == 0 {
			q.f.tally(q.to).local.Add(1)
		}
	}
	if q.st.log != nil {
		q.log(e, out[len(q.reply):])
	}
	q.out = out
}

// countHit counts an answer given at once.
func (q *Query) countHit() {
	switch {
	case q.part != nil:
		q.part.hits++
		return
	case q.inner != 0:
		return
	}
	q.f.tally(q.to).hits.Add(1)
}
