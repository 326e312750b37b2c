package forwarder

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// completion completes a name for which servers must be asked. The clients wait as the waiters
// of a flight, which stays in its shard so that equal questions join it. It ends with an
// answer, or after completeWithin with the negative answer. Replies that arrive later are
// stored as usual.
type completion struct {
	f     *Forwarder  // does not change, like the next three
	fl    *flight     // with the clients that wait
	who   recipient   // gets the answers about the candidates; only resolve differs
	nx    []byte      // the message that says that the name does not exist
	timer *time.Timer // ends the wait
	freed atomic.Bool // the place in completer has been freed
	mu    sync.Mutex  // protects the fields below
	w     *walk       // the candidates
	open  int         // questions without an outcome, and one more while questions are being asked
	ended bool        // the clients have been answered, or are being answered
}

// hintIn returns the hint in a server's reply to the question of fl, or nil. r is the reply
// after the stages have judged it.
func (fl *flight) hintIn(st *snapshot, res *upstream.Result, r *Reply) []byte {
	if !st.cfg.Complete || r.Msg == nil || r.Msg.Rcode != wire.RcodeNXDomain || res.Reply.Rcode != wire.RcodeNXDomain || !res.Reply.EDNS.Present {
		return nil
	}
	data, ok := wire.Option(res.Reply.EDNS.Options, autopath.HintCode)
	if !ok || r.Question.Class != wire.ClassIN {
		return nil
	}
	var buf [wire.MaxName]byte
	if _, ok = autopath.ParseHint(data, dnsname.AppendLower(buf[:0], fl.name[:fl.nlen])); !ok {
		return nil
	}
	return data
}

// complete begins to complete the name of fl, whose question has been answered by the reply in
// s with a hint. It reports whether it did: then the completion owns fl, and nobody else may
// use it. Otherwise, the caller must answer with the reply in s. Waiters that are not clients
// are answered in any case.
func (fl *flight) complete(st *snapshot, s *answerSink, hint []byte, waiting *[]waiter) bool {
	f := fl.f
	if !completable(s.reply.Question) {
		return false
	}
	var others, clients []waiter
	for _, w := range *waiting {
		if w.resolve == nil {
			clients = append(clients, w)
		} else {
			others = append(others, w)
		}
	}
	if len(clients) == 0 {
		return false
	}
	nx := slices.Clone(s.reply.Msg.Msg)
	if !f.completions.begin(st.cfg.InFlight) {
		forgetAtOnce(nx)
		s.reply.Replace(nx)
		return false
	}
	if len(others) > 0 {
		fl.relayTo(st, s, &others)
	}
	*waiting = nil
	c := &completion{f: f, fl: fl, nx: nx, w: f.getWalk(st), who: recipient{to: clients[0].to, serial: clients[0].serial, inner: innerAsks}}
	question := fl.question()
	var buf [wire.MaxName]byte
	if !c.w.start(&question, dnsname.AppendLower(buf[:0], fl.name[:fl.nlen]), nx, hint) {
		c.w.hint = autopath.Hint{} // nothing to try: the negative answer
	}
	sh := &f.shards[fl.hash%flightShards]
	sh.mu.Lock()
	fl.waiters, fl.completing = clients, true
	sh.insert(fl)
	sh.mu.Unlock()
	c.run()
	return true
}

// joinCompletion makes q wait for the completion of its name, which begins with the hint in w
// unless it is in progress. g are the servers for the name. It returns refused if too many
// names are being completed or too many clients wait.
func (f *Forwarder) joinCompletion(q *Query, g *upstream.Group, w *walk, nx []byte) joinResult {
	hash := q.hash()
	sh := &f.shards[hash%flightShards]
	sh.mu.Lock()
	if fl := sh.find(hash, q); fl != nil && fl.completing {
		defer sh.mu.Unlock()
		result := f.joinFlight(fl, q, false)
		if result == refused {
			f.completions.outcomes[CompleteBound].Add(1)
		}
		return result
	}
	if !f.completions.begin(q.st.cfg.InFlight) {
		sh.mu.Unlock()
		return refused
	}
	fl := f.newFlight(q, hash)
	f.limits.assign(fl, g.Domain())
	fl.completing = true
	fl.addWaiter(q, false)
	sh.insert(fl)
	sh.mu.Unlock()
	c := &completion{f: f, fl: fl, nx: slices.Clone(nx), w: f.getWalk(q.st), who: q.innerOf(0)}
	c.w.start(q.Msg, q.Name, nx, w.data)
	c.run()
	return began
}

// run asks about the first candidate. Further candidates are asked about when replies arrive.
func (c *completion) run() {
	c.timer = time.AfterFunc(completeWithin, func() {
		c.safely(func() { c.end(waits) })
	})
	c.safely(c.step)
}

// safely calls do, and ends the completion if it panics.
func (c *completion) safely(do func()) {
	defer func() {
		if cause := recover(); cause != nil {
			c.f.crashed(cause, c.nx)
			c.free()
			c.end(gaveUp)
		}
	}()
	do()
}

// step asks about candidates, one after the other, until a reply is awaited or the walk ends.
func (c *completion) step() {
	for c.next() {
		for i := range c.w.questions() {
			c.ask(i)
		}
		c.f.set.Flush()
		if !c.arrived() {
			return
		}
	}
}

// next moves to the next candidate, or ends the walk.
func (c *completion) next() bool {
	c.mu.Lock()
	ended, more := c.ended, false
	if !ended {
		if more = c.w.next(); more {
			c.open = c.w.questions() + 1
		}
	}
	c.mu.Unlock()
	if !more {
		c.end(goOn)
		c.free()
	}
	return more
}

// ask asks a question about the candidate. Its outcome may come at once or later, on another
// goroutine.
func (c *completion) ask(i int) {
	who := c.who
	who.resolve = func(r *wire.Reply, err error) {
		c.safely(func() {
			c.note(i, r, err)
			if c.arrived() {
				c.step()
			}
		})
	}
	c.mu.Lock()
	question := *c.w.question(i)
	c.mu.Unlock()
	c.f.resolve(&who, &question)
}

// note records the outcome of a question.
func (c *completion) note(i int, r *wire.Reply, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.w.note(i, r, err)
	}
}

// arrived records that a question has an outcome, or that all questions about the candidate
// have been sent. It returns true if nothing more is awaited and another candidate must be
// tried, which is then up to the caller.
func (c *completion) arrived() (goesOn bool) {
	c.mu.Lock()
	c.open--
	last, ended, v := c.open == 0, c.ended, waits
	if last && !ended {
		v = c.w.decide()
	}
	c.mu.Unlock()
	switch {
	case !last:
		return false
	case !ended && v == goOn:
		return true
	}
	c.end(v)
	c.free()
	return false
}

// free frees the place in completer, once. Until then, questions may be on their way.
func (c *completion) free() {
	if c.freed.CompareAndSwap(false, true) {
		c.f.completions.end()
	}
}

// end answers the clients, unless they have been answered.
func (c *completion) end(v verdict) {
	c.mu.Lock()
	ended := c.ended
	c.ended = true
	c.mu.Unlock()
	if ended {
		return
	}
	c.timer.Stop()
	if v == waits {
		c.f.completions.outcomes[CompleteLate].Add(1)
	} else {
		c.f.completions.count(v)
	}
	c.answer(v)
}

// answer answers the clients.
func (c *completion) answer(v verdict) {
	f, fl := c.f, c.fl
	sh := &f.shards[fl.hash%flightShards]
	sh.mu.Lock()
	sh.remove(fl)
	waiting := fl.waiters
	sh.mu.Unlock()
	f.limits.releaseWaiters(fl, waiting)
	s, st := f.sinks.Get().(*answerSink), f.state.Load()
	defer func() {
		if cause := recover(); cause != nil {
			f.crashed(cause, fl.name[:fl.nlen])
			fl.fail(st, s, waiting, wire.EDEOther, errCrashed)
		}
		s.Flush()
		f.sinks.Put(s)
		fl.recycle()
	}()
	s.question = fl.question()
	msg := c.nx
	switch v {
	case found:
		msg = c.w.compose(nil, &s.question)
	case gaveUp, waits:
		forgetAtOnce(msg)
	}
	s.reply.begin(f, &s.question, &upstream.Result{})
	s.reply.Replace(msg)
	if v == found {
		s.reply.Reason = c.w.reason
	}
	fl.relayTo(st, s, &waiting)
}

// ask asks a question on behalf of who and appends the answer to the empty buf. If the result
// is empty, who.resolve is called later; with innerLooks, there is then no answer, and no
// server was asked. question is not kept.
func (f *Forwarder) ask(who *recipient, question *wire.Query, buf []byte) []byte {
	p := f.parts.Get().(*Part)
	q := &p.q
	q.clear()
	q.f, q.st, q.part, q.cache = f, f.state.Load(), nil, nil
	q.recipient, q.Msg, q.key, q.now, q.reply = *who, question, p.key[:0], f.now(), buf
	q.answer()
	out := q.out
	q.clear()
	f.parts.Put(p)
	return out
}
