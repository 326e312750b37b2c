package forwarder

import (
	"errors"
	"slices"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// answerSink sends the answers that result from the replies of one goroutine of the
// upstream set. Only that goroutine uses it.
type answerSink struct {
	f     *Forwarder     // does not change
	batch listener.Batch // answers to clients, sent by Flush
	buf   []byte         // memory for the next answer; empty
	relay wire.Relay     // how to relay the current reply
	reply Reply          // the current reply, as the stages see it
	asked bool           // a question waits for Flush of the upstream set

	arranged []byte     // memory for the current reply with its records in another order
	ordered  wire.Reply // the message in arranged

	question wire.Query // the question that reply answers
	msg      wire.Query // the message of q
	q        Query      // the query of the waiter that is being answered
}

var (
	_ upstream.Sink  = (*answerSink)(nil)
	_ upstream.Owner = (*flight)(nil)
)

func newSink(f *Forwarder) *answerSink { return &answerSink{f: f, buf: make([]byte, 0, 2048)} }

// Flush implements upstream.Sink.
func (s *answerSink) Flush() {
	s.q.st = nil // do not keep a configuration that may be replaced
	s.batch.Flush()
	if s.asked {
		s.asked = false
		s.f.set.Flush()
	}
}

// maxKeptReply is the largest buffer that a sink keeps, in octets.
const maxKeptReply = 16 << 10

// query restores the query of a waiter. Its answer will be written to s.buf.
func (s *answerSink) query(st *snapshot, fl *flight, w *waiter) *Query {
	s.msg = fl.query(w)
	q := &s.q
	q.recipient, q.Msg, q.Private = w.recipient, &s.msg, fl.private
	q.f, q.st, q.reply, q.out, q.source, q.extended = s.f, st, s.buf[:0], nil, SourceCache, false
	return q
}

// send sends out, which comes from source and answers s.q, to a waiter that is a client.
func (s *answerSink) send(w *waiter, out []byte, source Source) {
	took := time.Duration(s.f.now() - w.since)
	t := &s.f.tally(w.to).answers
	t.count[source][wire.RcodeSlot(wire.Flags(out))].Add(1)
	t.observe(source, took, 1)
	if s.f.answerLog.On() {
		s.q.source = source
		s.q.logAnswer(out, took)
	}
	if s.f.answered != nil {
		s.f.answered(took, out)
	}
	s.batch.Add(w.to, out)
	if s.buf = out[:0]; cap(s.buf) > maxKeptReply {
		s.buf = make([]byte, 0, 2048)
	}
}

// callBack passes the outcome to a waiter of Resolve, and recovers from its panics.
func (s *answerSink) callBack(w *waiter, reply *wire.Reply, err error) {
	defer s.f.recovered(nil)
	w.resolve(reply, err)
}

// Done implements upstream.Owner. It stores the reply and answers all waiters.
func (fl *flight) Done(us upstream.Sink, res *upstream.Result) {
	f, s := fl.f, us.(*answerSink)
	outdated := fl.outdated(res.Reply)
	if outdated && fl.askAgain(s) {
		return
	}
	sh := &f.shards[fl.hash%flightShards]
	sh.mu.Lock()
	sh.remove(fl)
	sh.mu.Unlock()
	f.limits.release(fl)
	f.limits.releaseWaiters(fl, fl.waiters)
	waiting, goesOn := fl.waiters, false
	defer func() {
		if cause := recover(); cause != nil {
			f.crashed(cause, fl.name[:fl.nlen])
			fl.fail(f.state.Load(), s, waiting, wire.EDEOther, errCrashed)
		}
		if !goesOn {
			fl.recycle()
		}
	}()
	st := f.state.Load()
	s.question = fl.question()
	r := &s.reply
	r.begin(f, &s.question, res)
	if st.cfg.FollowRoutes && r.Msg != nil {
		f.follow.note(r)
	}
	var hint []byte
	if outdated {
		r.Reject(errMoved)
	} else {
		r.judge(st)
		hint = fl.hintIn(st, res, r)
		fl.store(st, r, hint)
	}
	if goesOn = hint != nil && fl.complete(st, s, hint, &waiting); goesOn {
		return
	}
	if r.Msg == nil || failure(r.Msg.Rcode) {
		if waiting = fl.giveStale(st, s, waiting); len(waiting) == 0 {
			return
		}
	}
	if r.Msg == nil {
		code, err := reasonOf(res, r)
		fl.fail(st, s, waiting, code, err)
		return
	}
	s.arrange()
	fl.relayTo(st, s, &waiting)
}

// arrange puts the records of the reply into the order in which clients read them, which is
// also their order in cached answers.
func (s *answerSink) arrange() {
	r := s.reply.Msg
	out := wire.Arrange(s.arranged[:0], r)
	if len(out) == 0 || !wire.ParseReply(out, &s.ordered) {
		return
	}
	s.ordered.Rcode, s.ordered.EDNS = r.Rcode, r.EDNS
	s.reply.Msg = &s.ordered
	if s.arranged = out[:0]; cap(out) > maxKeptReply {
		s.arranged = nil
	}
}

// store adds the reply, or the failure if there is none, to the cache. hint is the hint in the
// reply, or nil. The stages must have judged the reply.
func (fl *flight) store(st *snapshot, r *Reply, hint []byte) {
	q := r.Question
	if st.cache == nil || !cacheable(q) || fl.private {
		return
	}
	asked := fl.asked.From(fl.f.origins.number(r.Server))
	switch now := fl.f.now(); {
	case r.Msg == nil:
		st.cache.StoreFailure(q, wire.RcodeServFail, asked, now)
	case failure(r.Msg.Rcode):
		st.cache.StoreFailure(q, r.Msg.RelayedRcode(), asked, now)
	case st.cfg.Cache.NXDomainCut && r.Msg.Rcode == wire.RcodeNXDomain && fl.routes.splits(dnsname.AppendLower(nil, q.Name)):
		// If it were stored, it would hide names below that other servers know.
	case r.Keep != nil:
		st.cache.Store(q, r.Keep, hint, asked, now)
	case r.AbsentFor > 0:
		st.cache.StoreAbsent(q, r.AbsentFor, asked, now)
	default:
		st.cache.Forget(q, fl.asked)
	}
}

// relayTo relays s.reply to all waiters. It removes each from waiting before it answers, so
// that a panic affects only one answer.
func (fl *flight) relayTo(st *snapshot, s *answerSink, waiting *[]waiter) {
	r := &s.reply
	if st.log != nil {
		fl.logReply(st, r)
	}
	if !r.Reason.Present {
		r.Reason = extendedOf(r.Msg)
	}
	s.relay = wire.Relay{MaxTTL: st.cfg.Cache.MaxTTL}
	// TC makes a client over UDP ask again over TCP, but does not help a client over TCP.
	nothing := r.Msg.Truncated() && wire.Count(r.Msg.Msg, wire.Answer) == 0
	for len(*waiting) > 0 {
		w := &(*waiting)[0]
		if w.resolve != nil {
			*waiting = (*waiting)[1:]
			s.callBack(w, r.Msg, nil)
			continue
		}
		if nothing && w.to.Stream() {
			fl.fail(st, s, (*waiting)[:1], wire.EDENetworkError, errNoTCP)
			*waiting = (*waiting)[1:]
			continue
		}
		*waiting = (*waiting)[1:]
		q := s.query(st, fl, w)
		s.relay.Limit, s.relay.OPT = q.limit(), q.opt(r.Reason)
		// RFC 6840 §5.8: only clients that set AD or DO get AD.
		s.relay.KeepAD = st.cfg.Cache.KeepAD && (q.Msg.EDNS.DO || q.Msg.Flags&wire.FlagAD != 0)
		s.send(w, wire.AppendReply(q.reply, q.Msg, r.Msg, &s.relay), SourceUpstream)
	}
}

// logReply logs a reply that the stages have judged.
func (fl *flight) logReply(st *snapshot, r *Reply) {
	e := Event{
		Kind: EventReply, Msg: r.Msg.Msg, Rcode: r.Msg.Rcode, Server: r.Server,
		Reason: r.Reason.Code, HasReason: r.Reason.Present,
	}
	switch {
	case r.Msg.Truncated():
		e.Kind = EventTruncated
	case r.Reason.Present && r.Reason.Code == wire.EDEBlocked:
		e.Msg = r.sent.Msg
	}
	fl.log(st, e)
}

// Ignores implements upstream.Owner.
func (fl *flight) Ignores(r *wire.Reply) bool {
	return fl.class == wire.ClassIN && slices.ContainsFunc(fl.f.state.Load().ignore, func(hook func(*wire.Reply) bool) bool { return hook(r) })
}

// Slow implements upstream.Owner. The waiters get the expired answer, and the question
// remains in flight.
func (fl *flight) Slow(us upstream.Sink) {
	f, s, st := fl.f, us.(*answerSink), fl.f.state.Load()
	defer f.recovered(fl.name[:fl.nlen])
	sh := &f.shards[fl.hash%flightShards]
	sh.mu.Lock()
	d := fl.detach()
	fl.slow = true
	sh.mu.Unlock()
	f.limits.releaseWaiters(fl, d.waiters)
	if rest := d.giveStale(st, s, d.waiters); len(rest) > 0 {
		sh.mu.Lock()
		fl.waiters, fl.slow = append(rest, fl.waiters...), false
		sh.mu.Unlock()
	}
}

// giveStale answers the waiters with the expired answer. It returns the waiters that cannot get
// one.
func (fl *flight) giveStale(st *snapshot, s *answerSink, waiting []waiter) []waiter {
	if st.cache == nil || fl.private || st.cfg.Cache.StaleFor == 0 {
		return waiting
	}
	for i := range waiting {
		w := &waiting[i]
		q := s.query(st, fl, w)
		out, result := st.cache.Lookup(q.reply, q.Msg, s.f.now(), true)
		if result != answercache.Stale && result != answercache.Hit && result != answercache.Hinted {
			return waiting[i:]
		}
		q.answerCached(out, result)
		if w.resolve == nil {
			s.send(w, q.out, q.source)
		} else if r := new(wire.Reply); wire.ParseReply(q.out, r) {
			s.callBack(w, r, nil)
		}
	}
	return nil
}

// fail answers the waiters with SERVFAIL and the reason.
func (fl *flight) fail(st *snapshot, s *answerSink, waiting []waiter, code uint16, err error) {
	reason := wire.Extended(code, err.Error())
	for i := range waiting {
		w := &waiting[i]
		if w.resolve != nil {
			s.callBack(w, nil, err)
			continue
		}
		q := s.query(st, fl, w)
		fl.f.tally(w.to).failed.Add(1)
		if st.log != nil {
			q.log(Event{Kind: EventError, Rcode: wire.RcodeServFail, Reason: code, HasReason: true}, nil)
		}
		s.send(w, wire.AppendError(q.reply, q.Msg, wire.RcodeServFail, q.opt(reason)), SourceNone)
	}
}

// errNoTCP means that an answer that needs TCP is not available.
var errNoTCP = errors.New("the answer is truncated, and the server gives no complete answer over TCP")

var errCrashed = errors.New("internal error")

// reasonOf returns the extended error for an exchange without a usable reply (RFC 8914 §4.23
// and §4.24).
func reasonOf(res *upstream.Result, r *Reply) (code uint16, reason error) {
	switch err := res.Err; {
	case errors.Is(r.rejected, errMoved):
		return wire.EDENotReady, errMoved
	case r.rejected != nil:
		return wire.EDEFiltered, r.rejected
	case errors.Is(err, upstream.ErrIgnored):
		return wire.EDEFiltered, err
	case errors.Is(err, upstream.ErrUnreachable):
		return wire.EDENetworkError, err
	case errors.Is(err, upstream.ErrMalformed):
		return wire.EDEInvalidData, err
	case errors.Is(err, upstream.ErrClosed):
		return wire.EDENotReady, err
	}
	return wire.EDENoReachableAuthority, res.Err
}

// failure reports whether rcode means that the question could not be resolved (RFC 9520 §2): each
// does that is neither about records nor about a name without records.
func failure(rcode int) bool {
	return rcode != wire.RcodeSuccess && rcode != wire.RcodeNXDomain && rcode != wire.RcodeYXDomain
}

// extendedOf returns the first extended error in an upstream server's reply, which is relayed
// to the client (RFC 8914 §3).
func extendedOf(r *wire.Reply) wire.ExtendedError {
	e := r.EDNS.ExtendedError()
	e.Text = e.Text[:min(len(e.Text), maxReason)]
	return e
}

// maxReason is how many octets of the text of an extended error are relayed. The messages of
// kubedns about certificates fit.
const maxReason = 256
