package forwarder

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// If the reply about a name says that it does not exist, and has a hint which names the client
// would ask next (package autopath), the forwarder tries them for the client. The questions
// about them are handled like any question: by stages, cache and servers. The cache stores the
// negative answer with its hint, as without completion, and the answers about the names tried.
// The answer to the client is composed of these each time.
//
// The client does not see any failure here: it gets the negative answer, with a TTL of 0, and
// goes through its search list itself.

const (
	// completeWithin is how long a client waits for a completed answer. Resolvers repeat their
	// questions after 2.5 s.
	completeWithin = time.Second
	// completeShare divides Config.InFlight: that part of it is the largest number of names
	// that may be completed at a time. Each asks up to three questions, so that a quarter is
	// always left for others.
	completeShare = 4
)

// Completion is the outcome of trying other names in place of one that does not exist.
type Completion uint8

// The outcomes.
const (
	CompletedName   Completion = iota // a name exists, and is the answer
	CompleteMissing                   // none of the names exists
	CompleteFailed                    // a server did not say whether a name exists
	CompleteLate                      // the servers did not say so in time
	CompleteBound                     // too many names were being completed
	Completions                       // the number of outcomes
)

// String returns the outcome's name in metrics.
func (c Completion) String() string {
	return [...]string{"completed", "missing", "failed", "deadline", "bound", "unknown"}[min(c, Completions)]
}

// inner marks a question that is asked to complete the name of a client, and how it is
// answered.
type inner uint8

const (
	innerAsks  inner = 1 << iota // the question is asked to complete a name
	innerLooks                   // it is answered at once or not at all
	innerStale                   // an expired answer will do
)

// Inner reports whether this question was not sent by a client, but is asked to complete the
// name in the question of that client.
func (q *Query) Inner() bool { return q.inner != 0 }

// completes reports whether the answer to q may be a completed one.
func (q *Query) completes() bool {
	return q.st.cfg.Complete && q.resolve == nil && q.inner == 0 && completable(q.Msg)
}

// completable reports whether the answer to a question may be a completed one.
func completable(m *wire.Query) bool { return cacheable(m) && m.Type != wire.TypeANY }

// completer counts completions, and limits how many are in progress.
type completer struct {
	walks    sync.Pool // holds *walk
	busy     atomic.Int64
	outcomes [Completions]atomic.Uint64
}

// begin takes one of the places for completions and reports whether there was one. If there was
// none, it counts the outcome. After it has returned true, the caller must call end.
func (c *completer) begin(inFlight int) bool {
	if c.busy.Add(1) <= int64(max(inFlight/completeShare, 1)) {
		return true
	}
	c.busy.Add(-1)
	c.outcomes[CompleteBound].Add(1)
	return false
}

// end frees a place that begin has taken.
func (c *completer) end() { c.busy.Add(-1) }

// count counts the outcome of a walk.
func (c *completer) count(v verdict) {
	switch v {
	case found:
		c.outcomes[CompletedName].Add(1)
	case goOn:
		c.outcomes[CompleteMissing].Add(1)
	case gaveUp:
		c.outcomes[CompleteFailed].Add(1)
	}
}

// getWalk returns a walk that obeys the policies of st. The caller returns it with putWalk.
func (f *Forwarder) getWalk(st *snapshot) *walk {
	w, ok := f.completions.walks.Get().(*walk)
	if !ok {
		w = new(walk)
	}
	w.f, w.policies = f, st.complete
	return w
}

// putWalk makes a walk available again.
func (c *completer) putWalk(w *walk) {
	if cap(w.msg) > maxKeptReply || cap(w.scratch) > maxKeptReply {
		w.msg, w.scratch = nil, nil
	}
	w.reply, w.given, w.hint, w.f, w.policies = wire.Reply{}, wire.Reply{}, autopath.Hint{}, nil, nil
	c.walks.Put(w)
}

// look goes through the candidates as far as stages and cache can answer. It returns waits if a
// server must be asked.
func (w *walk) look(f *Forwarder, who recipient) verdict {
	for w.next() {
		for i := range w.questions() {
			w.scratch = f.ask(&who, w.question(i), w.scratch[:0])
			if len(w.scratch) == 0 {
				return waits
			}
			if !wire.ParseReply(w.scratch, &w.given) {
				return gaveUp
			}
			w.note(i, &w.given, nil)
		}
		if v := w.decide(); v != goOn {
			return v
		}
	}
	return goOn
}

// answerHinted completes the name, or answers from the cache with out, which says after q.reply
// that the name does not exist. If q.out is empty afterwards, the answer is sent later.
func (q *Query) answerHinted(out []byte) {
	c := &q.f.completions
	if !q.completes() {
		q.countHit()
		q.answerCached(out, answercache.Hit)
		return
	}
	w := q.f.getWalk(q.st)
	defer c.putWalk(w)
	nx := out[len(q.reply):]
	v := gaveUp
	if w.start(q.Msg, q.Name, nx, q.st.cache.Hint(w.data[:0], q.key)) {
		v = w.look(q.f, q.innerOf(innerLooks))
	}
	if v == waits {
		q.completeLater(w, out)
		return
	}
	q.countHit()
	c.count(v)
	switch v {
	case found:
		q.answerCompleted(w.compose(q.reply, q.Msg), Event{Kind: EventCached}, w.reason)
		return
	case gaveUp:
		forgetAtOnce(nx)
	}
	q.answerCached(out, answercache.Hit)
}

// innerOf returns the recipient of the answer about a candidate, on behalf of q.
func (q *Query) innerOf(how inner) recipient {
	return recipient{to: q.to, serial: q.serial, inner: innerAsks | how}
}

// answerCompleted answers with a composed message after q.reply.
func (q *Query) answerCompleted(out []byte, e Event, reason wire.ExtendedError) {
	base := len(q.reply)
	if q.st.log != nil {
		q.log(e, out[base:])
	}
	var opt wire.OPT
	if q.Msg.EDNS.Present {
		opt = q.opt(reason)
	}
	q.out = wire.FinishReply(out, base, q.Msg, q.limit(), &opt)
}

// completeStale returns the answer to give instead of out, which is an expired answer after
// q.reply. If the cache has answers about the candidates, even expired ones, the name is
// completed from them.
func (q *Query) completeStale(out []byte) (answer []byte, completed bool) {
	base := len(q.reply)
	if wire.Rcode(wire.Flags(out[base:])) != wire.RcodeNXDomain || !q.completes() {
		return out, false
	}
	var buf [answercache.MaxKey]byte
	key := answercache.AppendKey(buf[:0], q.Msg)
	w := q.f.getWalk(q.st)
	defer q.f.completions.putWalk(w)
	hint := q.st.cache.Hint(w.data[:0], key)
	if len(hint) == 0 || !w.start(q.Msg, key[:len(q.Msg.Name)], out[base:], hint) {
		return out, false
	}
	w.ttl = q.st.cfg.Cache.StaleTTL
	v := w.look(q.f, q.innerOf(innerLooks|innerStale))
	if v == waits {
		v = gaveUp
	}
	q.f.completions.count(v)
	if v == found {
		return w.compose(q.reply, q.Msg), true
	}
	forgetAtOnce(out[base:])
	return out, false
}

// completeLater makes q wait for the completion of its name, and begins that unless it is in
// progress. w has the hint. out says, after q.reply, that the name does not exist; it is the
// answer if too many names are being completed.
func (q *Query) completeLater(w *walk, out []byte) {
	f, nx := q.f, out[len(q.reply):]
	q.epoch, q.routes = q.st.cache.Epoch(), f.routing()
	d := q.routes.table.Lookup(q.Name, q.Msg.Type)
	if d.Kind == upstream.Ask {
		switch f.joinCompletion(q, d.Group, w, nx) {
		case joined:
			f.tally(q.to).coalesced.Add(1)
			return
		case began:
			f.tally(q.to).forwarded.Add(1)
			return
		}
	}
	q.countHit()
	forgetAtOnce(nx)
	q.answerCached(out, answercache.Hit)
}
