package upstream

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// exchange is one question in progress. It carries out what its policy decides.
type exchange struct {
	// Constant while the exchange is shared.
	set      *Set
	group    *Group             // the servers to ask
	owner    Owner              // nil: only measures or looks for loops
	question transport.Question // what is asked
	name     [wire.MaxName]byte // memory of question.Name
	options  []byte             // memory of question.Options

	shard *registry // which guards prev and next
	prev  *exchange // the exchange before this one in shard
	next  *exchange // the exchange after this one in shard

	refs atomic.Int32 // number of references; the last one recycles the exchange
	due  atomic.Int64 // when the ticker has to look, in nanoseconds of Set.now, as all times here

	mu       sync.Mutex                  // guards what follows
	done     bool                        // the owner has been called
	query    policy.Query                // the policy of the question
	actions  []policy.Action             // what the policy wants done; reused
	attempts [policy.MaxAttempts]attempt // the calls in progress, by number of the attempt
	n        int                         // attempts made
	// best is the last reply that the policy said to keep.
	best       []byte
	bestServer netip.AddrPort // the server that sent best
	measure    []int          // servers to measure, as indices into group.servers
}

// attempt is a question sent to one server.
type attempt struct {
	call transport.Call
	srv  *server
	link transport.Link // that has call; nil: it was given back
	sent int64
}

// maxKept is the largest buffer that a pooled exchange keeps.
const maxKept = 4096

// release gives a reference back.
func (ex *exchange) release() {
	if ex.refs.Add(-1) == 0 {
		ex.recycle()
	}
}

func (ex *exchange) recycle() {
	ex.owner, ex.group, ex.shard = nil, nil, nil
	clear(ex.attempts[:ex.n])
	ex.n, ex.done = 0, false
	if cap(ex.best) > maxKept {
		ex.best = nil
	}
	ex.set.exchanges.Put(ex)
}

// input is a reply that belongs to an event.
type input struct {
	msg    []byte
	parsed bool // worker.reply is msg
}

// step passes an event to the policy and carries out its actions. It reports whether and how
// the exchange ended; if it did, the caller must tell the owner. mu must be held. w is nil
// for policy.Begin.
func (ex *exchange) step(now int64, ev policy.Event, in input, w *worker) (end policy.End, ended bool) {
	ex.actions = ex.decide(now, ev, ex.actions[:0])
	for i := 0; i < len(ex.actions); i++ {
		switch a := ex.actions[i]; a.Kind {
		case policy.Send:
			if !ex.send(now, &a) {
				ex.actions = ex.decide(now, policy.Event{Kind: policy.Unsent, Attempt: a.Attempt}, ex.actions)
			} else if ex.attempts[a.Attempt].call.Cold {
				ex.actions = ex.decide(now, policy.Event{Kind: policy.Dialling, Attempt: a.Attempt}, ex.actions)
			}
		case policy.Reopen:
			at := &ex.attempts[a.Attempt]
			if link := at.srv.links[wayOf(&at.call)]; link.Rearm(&at.call) {
				at.link = link
			}
		case policy.Doubt:
			if at := &ex.attempts[a.Attempt]; at.link != nil {
				at.link.Doubt(&at.call)
			}
		case policy.Keep:
			ex.keep(&ex.attempts[a.Attempt], in)
		case policy.Slow:
			ex.owner.Slow(w.sink)
		case policy.Measure:
			ex.measure = append(ex.measure, a.Server)
		case policy.Finish:
			end, ended = a.End, true
			ex.finish()
		}
	}
	ex.due.Store(int64(ex.query.Due()))
	return end, ended
}

// decide makes one step of the policy.
func (ex *exchange) decide(now int64, ev policy.Event, dst []policy.Action) []policy.Action {
	s := ex.set
	s.health.Lock()
	defer s.health.Unlock()
	return ex.query.Step(policy.Time(now), ev, dst)
}

// wayOf returns the way that a call went.
func wayOf(c *transport.Call) policy.Way {
	if c.Whole {
		return policy.Whole
	}
	return policy.Usual
}

// send makes an attempt. It returns false if the question cannot be sent.
func (ex *exchange) send(now int64, a *policy.Action) bool {
	srv := ex.group.servers[a.Server]
	at := &ex.attempts[a.Attempt]
	ex.n = a.Attempt + 1
	*at = attempt{srv: srv, link: srv.links[a.Way], sent: now, call: transport.Call{
		Question: &ex.question, Owner: ex, Index: a.Attempt,
		EDNS: a.EDNS, Mixed: a.Mixed, Alone: a.Alone, Whole: a.Way == policy.Whole || srv.spec.TLS.On,
	}}
	ex.refs.Add(1)
	if err := at.link.Send(&at.call, now); err != nil {
		ex.refs.Add(-1)
		at.link = nil
		srv.noteUnsent(err)
		ex.set.socketLog(srv, err)
		return false
	}
	if a.Attempt > 0 {
		srv.counters.retried.Add(1)
	}
	srv.counters.sent.Add(1)
	if ex.owner != nil && a.Way == policy.Usual {
		ex.owner.Sent(srv.spec.Addr)
	}
	return true
}

// keep stores the reply of in as the best so far.
func (ex *exchange) keep(at *attempt, in input) {
	ex.bestServer = at.srv.spec.Addr
	ex.best = append(ex.best[:0], in.msg...)
	if in.parsed {
		return
	}
	// The end of the reply is missing: keep only header and question, with TC set.
	ex.best = ex.best[:wire.HeaderLen+len(ex.question.Name)+4]
	wire.SetFlags(ex.best, wire.Flags(ex.best)|wire.FlagTC)
	for s := wire.Answer; s <= wire.Additional; s++ {
		wire.SetCount(ex.best, s, 0)
	}
}

// finish cancels the attempts that are still open. mu must be held.
func (ex *exchange) finish() {
	ex.done = true
	for i := range ex.attempts[:ex.n] {
		at := &ex.attempts[i]
		if at.link != nil && at.link.Cancel(&at.call) {
			ex.refs.Add(-1) // the registry's reference is still there
		}
		at.link = nil
	}
}
