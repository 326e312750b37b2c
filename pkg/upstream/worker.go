package upstream

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// worker is the state that a goroutine needs to work on exchanges. It implements
// transport.Events.
type worker struct {
	set    *Set
	sink   Sink
	reply  wire.Reply
	result Result // what owners are told
	due    []*exchange
}

var _ transport.Events = (*worker)(nil)

func (s *Set) newWorker() *worker { return &worker{set: s, sink: s.cfg.Load().NewSink()} }

// Flush implements transport.Events: it sends what the goroutine's work has queued, to
// servers and to clients.
func (w *worker) Flush() {
	w.set.udp.Flush(w)
	w.sink.Flush()
}

// Replied implements transport.Events.
func (w *worker) Replied(c *transport.Call, msg []byte, cut bool, now int64) {
	parsed := !cut && wire.ParseReply(msg, &w.reply)
	if parsed && c.RestoreOwners(&w.reply) {
		parsed = wire.ParseReply(msg, &w.reply)
	}
	if parsed {
		c.Note(&w.reply)
	}
	ev := policy.Event{Kind: policy.Replied}
	truncated := !c.Whole && (cut || wire.Flags(msg)&wire.FlagTC != 0)
	rcode := wire.Rcode(wire.Flags(msg))
	if parsed {
		rcode, ev.OPT = w.reply.Rcode, w.reply.EDNS.Present
	}
	ev.Rcode = rcode
	switch outcome := policy.OutcomeOf(rcode); {
	case outcome == policy.NotUnderstood:
		ev.Outcome, ev.Keepable = outcome, parsed
		if !parsed && !c.EDNS {
			ev.Outcome = policy.Malformed
		}
	case truncated && outcome == policy.Good:
		ev.Outcome, ev.Keepable = policy.Truncated, true
	case !parsed:
		ev.Outcome = policy.Malformed
	default:
		ev.Outcome, ev.Keepable = outcome, true
	}
	ev.Keepable = ev.Keepable && wire.Count(msg, wire.Question) == 1
	w.happened(c, now, ev, input{msg, parsed})
}

// Miscased implements transport.Events.
func (w *worker) Miscased(c *transport.Call, now int64) {
	w.happened(c, now, policy.Event{Kind: policy.Miscased}, input{})
}

// eventOf returns the policy's event for a failure of a transport.
func eventOf(why transport.Failure) policy.EventKind {
	switch why {
	case transport.NotConnected:
		return policy.NotConnected
	case transport.Lost:
		return policy.Lost
	}
	return policy.Refused
}

// Failed implements transport.Events.
func (w *worker) Failed(c *transport.Call, why transport.Failure, now int64) {
	w.happened(c, now, policy.Event{Kind: eventOf(why)}, input{})
}

// happened passes an event about a call to its exchange, and tells the owner if the exchange
// has ended.
func (w *worker) happened(c *transport.Call, now int64, ev policy.Event, in input) {
	ex := c.Owner.(*exchange)
	ev.Attempt = c.Index
	server := ex.attempts[c.Index].srv // set before the call was sent
	end, ended, waits := ex.handleEvent(now, ev, in, w)
	if ended {
		w.result.Server = server.spec.Addr
		w.conclude(ex, end)
	}
	if !waits {
		ex.release()
	}
}

// handleEvent makes a step for an event about an attempt. waits reports that the attempt
// continues to wait, so its transport holds the reference again.
func (ex *exchange) handleEvent(now int64, ev policy.Event, in input, w *worker) (end policy.End, ended, waits bool) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done {
		return 0, false, false
	}
	at := &ex.attempts[ev.Attempt]
	at.link = nil
	switch ev.Kind {
	case policy.Miscased:
		at.srv.counters.miscased.Add(1)
	case policy.Replied:
		at.srv.counters.observe(now - at.sent)
		if at.srv.spec.TLS.On {
			at.srv.tls.answered()
		}
		switch {
		case ev.Outcome == policy.Truncated:
			at.srv.counters.truncated.Add(1)
		case ev.Outcome == policy.Good && ex.owner != nil && ex.owner.Ignores(&w.reply):
			ev.Outcome = policy.Ignored
		case ev.Outcome == policy.Good && w.reply.Rcode == wire.RcodeNXDomain:
			at.srv.counters.nxdomain.Add(1)
		}
	}
	end, ended = ex.step(now, ev, in, w)
	return end, ended, at.link != nil
}

// tick makes the step of an exchange that is due at now.
func (ex *exchange) tick(now int64, w *worker) (end policy.End, ended bool) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done {
		return 0, false
	}
	return ex.step(now, policy.Event{Kind: policy.Tick}, input{}, w)
}

// begin makes the first attempts.
func (ex *exchange) begin(now int64) (end policy.End, ended bool) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done { // the set was closed in the meantime
		return 0, false
	}
	return ex.step(now, policy.Event{Kind: policy.Begin}, input{}, nil)
}

// errorOf returns the error for the owner when there is no reply.
func errorOf(end policy.End) error {
	switch end {
	case policy.EndIgnored:
		return ErrIgnored
	case policy.EndTimeout:
		return ErrTimeout
	case policy.EndUnreachable:
		return ErrUnreachable
	}
	return ErrMalformed
}

// conclude calls the owner of an exchange that has ended, and releases the registry's
// reference. For policy.EndReply, w holds the reply and its server.
func (w *worker) conclude(ex *exchange, end policy.End) {
	s, r := w.set, &w.result
	ex.shard.remove(ex)
	s.inFlight.Add(-1)
	*r = Result{Server: r.Server}
	switch {
	case ex.owner == nil:
	case end == policy.EndReply:
		r.Reply = &w.reply
	case end == policy.EndKept && wire.ParseReply(ex.best, &w.reply):
		r.Reply, r.Server = &w.reply, ex.bestServer
	default:
		r.Err, r.Server = ex.group.explain(errorOf(end)), netip.AddrPort{}
		if s.closed.Load() {
			r.Err = ErrClosed
		}
	}
	if ex.owner != nil {
		ex.owner.Done(w.sink, r)
	}
	ex.release()
}
