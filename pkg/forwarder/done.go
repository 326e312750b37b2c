package forwarder

import (
	"errors"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// sink collects the answers that one goroutine of the upstream set gives.
type sink struct {
	f     *Forwarder
	batch listener.Batch
	buf   []byte
	msg   []byte     // a reply after filters
	reply wire.Reply // of msg
	relay wire.Relay

	cookie wire.Cookie
}

var (
	_ upstream.Sink  = (*sink)(nil)
	_ upstream.Owner = (*flight)(nil)
)

func newSink(f *Forwarder) *sink { return &sink{f: f, buf: make([]byte, 0, 2048)} }

// Flush implements upstream.Sink.
func (s *sink) Flush() { s.batch.Flush() }

// maxKeptReply is the largest buffer that a sink keeps.
const maxKeptReply = 16 << 10

// send gives s.buf to a waiter.
func (s *sink) send(w *waiter) {
	if w.resolve != nil {
		s.tell(w, s.buf, nil)
	} else {
		if s.f.answered != nil {
			s.f.answered(time.Duration(s.f.now()-w.since), s.buf)
		}
		s.batch.Add(w.to, s.buf)
	}
	if cap(s.buf) > maxKeptReply {
		s.buf = make([]byte, 0, 2048)
	}
}

// tell calls back an asker within this program, and survives its crash.
func (s *sink) tell(w *waiter, reply []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.f.crashed(cause, reply)
		}
	}()
	w.resolve(reply, err)
}

// Done implements upstream.Owner: it stores the reply and answers all who
// wait.
func (fl *flight) Done(us upstream.Sink, r *upstream.Result) {
	f, s := fl.f, us.(*sink)
	sh := &f.shards[fl.hash%flightShards]
	sh.mu.Lock()
	sh.remove(fl)
	sh.mu.Unlock()
	f.limit.release(fl.bucket, fl.extra)
	waiting := fl.waiters
	defer func() {
		if cause := recover(); cause != nil {
			f.crashed(cause, fl.name[:fl.nlen])
			fl.fail(f.state.Load(), s, waiting, wire.EDEOther, errCrashed)
		}
		fl.recycle()
	}()
	st := f.state.Load()
	q := fl.question()
	reply, v := r.Reply, verdict{store: r.Reply}
	if reply != nil && (st.filter != nil || st.local != nil) {
		reply, v = f.review(st, &q, reply, s)
	}
	if st.cache != nil && cacheable(&q) && !fl.private {
		switch now := f.now(); {
		case reply == nil:
			st.cache.StoreFailure(&q, wire.RcodeServFail, now)
		case failure(reply.Rcode):
			st.cache.StoreFailure(&q, reply.Rcode, now)
		case v.absentFor > 0:
			st.cache.StoreAbsent(&q, v.absentFor, now)
		case v.store != nil:
			st.cache.Store(&q, v.store, now)
		}
	}
	if reply == nil || failure(reply.Rcode) {
		if rest := fl.giveStale(st, s, waiting); rest == nil {
			return
		}
	}
	if reply == nil {
		code, err := reasonOf(r)
		fl.fail(st, s, waiting, code, err)
		return
	}
	if st.log != nil {
		f.logReply(st, fl, r, reply)
	}
	s.relay = wire.Relay{MaxTTL: st.cfg.MaxTTL, KeepAD: st.cfg.KeepAD}
	if !v.ede.Present {
		v.ede = extendedOf(reply)
	}
	for len(waiting) > 0 {
		w := &waiting[0]
		waiting = waiting[1:]
		q := fl.query(w)
		s.relay.Limit = w.limit(&q, st.cfg.Payload)
		s.relay.OPT = f.opt(st, &q, &w.asker, &s.cookie)
		s.relay.OPT.EDE = v.ede
		s.buf = wire.AppendReply(s.buf[:0], &q, reply, &s.relay)
		s.send(w)
	}
}

// Slow implements upstream.Owner: those who wait get the expired answer, the
// question goes on.
func (fl *flight) Slow(us upstream.Sink) {
	f, s, st := fl.f, us.(*sink), fl.f.state.Load()
	defer func() {
		if cause := recover(); cause != nil {
			f.crashed(cause, fl.name[:fl.nlen])
		}
	}()
	sh := &f.shards[fl.hash%flightShards]
	sh.mu.Lock()
	waiting, extra := fl.waiters, fl.extra
	fl.waiters, fl.extra, fl.slow = nil, 0, true
	sh.mu.Unlock()
	if rest := fl.giveStale(st, s, waiting); rest != nil {
		sh.mu.Lock()
		fl.waiters, fl.extra, fl.slow = append(rest, fl.waiters...), fl.extra+extra, false
		sh.mu.Unlock()
		return
	}
	f.limit.releaseWaiters(extra)
}

// giveStale answers all of waiting with the expired answer. It returns them if
// there is none or none is to be given, nil when they are answered.
func (fl *flight) giveStale(st *state, s *sink, waiting []waiter) []waiter {
	if st.cache == nil || fl.private || !st.cfg.ServeStale && !st.cfg.StaleAtOnce || len(waiting) == 0 {
		return waiting
	}
	for i := range waiting {
		w := &waiting[i]
		q := fl.query(w)
		out, result := st.cache.Lookup(s.buf[:0], &q, fl.f.now(), true)
		if result != answercache.Stale && result != answercache.Hit {
			return waiting[i:]
		}
		s.buf = fl.f.completeCached(st, &q, &w.asker, out, 0, result)
		s.send(w)
	}
	return nil
}

// fail answers waiting with SERVFAIL and the reason.
func (fl *flight) fail(st *state, s *sink, waiting []waiter, code uint16, err error) {
	ede := wire.Extended(code, err.Error())
	for i := range waiting {
		w := &waiting[i]
		if w.resolve != nil {
			s.tell(w, nil, err)
			continue
		}
		q := fl.query(w)
		fl.f.tally(w.to).failed.Add(1)
		if st.log != nil {
			fl.f.logError(st, &q, &w.asker, wire.RcodeServFail, ede)
		}
		opt := fl.f.opt(st, &q, &w.asker, &s.cookie)
		opt.EDE = ede
		s.buf = wire.AppendError(s.buf[:0], &q, wire.RcodeServFail, opt)
		s.send(w)
	}
}

var errCrashed = errors.New("internal error")

// reasonOf is the extended error for an exchange without a reply, RFC 8914
// §4.23 and §4.24.
func reasonOf(r *upstream.Result) (code uint16, reason error) {
	switch err := r.Err; {
	case r.Reply != nil:
		return wire.EDEFiltered, errIgnored
	case errors.Is(err, upstream.ErrUnreachable):
		return wire.EDENetworkError, err
	case errors.Is(err, upstream.ErrMalformed):
		return wire.EDEInvalidData, err
	case errors.Is(err, upstream.ErrClosed):
		return wire.EDENotReady, err
	}
	return wire.EDENoReachableAuthority, r.Err
}

// failure reports whether an rcode says that the question could not be
// resolved, RFC 9520 §2.
func failure(rcode int) bool { return rcode == wire.RcodeServFail || rcode == wire.RcodeRefused }

// extendedOf is the first extended error in an upstream's reply: where it is
// about the answer, the asker should know it too (RFC 8914 §3).
func extendedOf(r *wire.Reply) wire.ExtendedError {
	if !r.EDNS.Present || len(r.EDNS.Options) == 0 {
		return wire.ExtendedError{}
	}
	data, ok := wire.Option(r.EDNS.Options, wire.OptionEDE)
	if !ok || len(data) < 2 {
		return wire.ExtendedError{}
	}
	return wire.Extended(uint16(data[0])<<8|uint16(data[1]), string(data[2:min(len(data), 2+maxReason)]))
}

// maxReason bounds the text of an extended error that is passed on.
const maxReason = 128
