package upstream

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// worker is what a goroutine needs to work on exchanges.
type worker struct {
	set      *Set
	sink     Sink
	reply    wire.Reply
	result   Result // what owners are told
	attempts []*attempt
	due      []*exchange
}

func (s *Set) newWorker() *worker { return &worker{set: s, sink: s.cfg.Load().NewSink()} }

// flush sends what the work has queued, to servers and to clients.
func (w *worker) flush() {
	w.set.flushQueue(w)
	w.sink.Flush()
}

// received handles one packet. msg belongs to the caller.
func (s *Set) received(sock *socket, msg []byte, cut bool, now int64, w *worker) {
	a, miscased := sock.match(msg)
	if a == nil {
		s.wrong.Add(1)
		if miscased != nil {
			s.miscased(miscased, now)
			miscased.ex.release()
		}
		return
	}
	a.asAsked(msg)
	s.answered(a, msg, cut, now, w)
	a.ex.release()
}

// answered goes on with an exchange after msg answered its attempt a.
func (s *Set) answered(a *attempt, msg []byte, cut bool, now int64, w *worker) {
	ex := a.ex
	parsed := !cut && wire.ParseReply(msg, &w.reply)
	if parsed && a.ownersAsAsked(&w.reply) {
		parsed = wire.ParseReply(msg, &w.reply)
	}
	ex.mu.Lock()
	if ex.done {
		ex.mu.Unlock()
		return
	}
	a.open = false
	ex.open--
	if ex.judge(a, msg, parsed, cut, &w.reply, now) {
		server := a.srv.spec.Addr
		ex.mu.Unlock()
		if ex.finish() {
			w.result = Result{Reply: &w.reply, Server: server, Took: time.Duration(now - ex.started)}
			s.tell(ex, w)
		}
		return
	}
	ended := ex.settle(now)
	ex.mu.Unlock()
	if ended {
		s.conclude(ex, w)
	}
}

// judge reports whether a reply is good. If not it does what follows from it.
func (ex *exchange) judge(a *attempt, msg []byte, parsed, cut bool, r *wire.Reply, now int64) (good bool) {
	rtt := now - a.sent
	srv := a.srv
	rcode := int(msg[3] & 0xf)
	if parsed {
		rcode = r.Rcode
	}
	switch {
	case a.edns && (rcode == wire.RcodeFormErr || rcode == wire.RcodeNotImp || rcode == wire.RcodeBadVers):
		// RFC 6891 §7: maybe it is EDNS that the server does not like.
		srv.answered(rtt, false)
		ex.keep(msg, parsed, rankError, srv)
		ex.try(srv, false, now)
		return false
	case a.sock != nil && (cut || wire.Flags(msg)&wire.FlagTC != 0):
		srv.answered(rtt, false)
		srv.counters.truncated.Add(1)
		if !parsed {
			msg = ex.bareTruncated(msg)
		}
		ex.keep(msg, true, rankTruncated, srv)
		ex.tryTCP(srv, a.edns, now)
		return false
	case !parsed:
		srv.answered(rtt, true)
		ex.err = ErrMalformed
		ex.advance(now)
		return false
	case rcode == wire.RcodeServFail || rcode == wire.RcodeRefused:
		srv.answered(rtt, true)
		ex.keep(msg, true, rankError, srv)
		ex.advance(now)
		return false
	}
	srv.answered(rtt, false)
	if a.mixed && srv.miscasedRun.Load() != 0 {
		srv.miscasedRun.Store(0)
	}
	if !a.edns && rcode != wire.RcodeFormErr && rcode != wire.RcodeNotImp && ex.ednsTo(srv, now) {
		srv.plainUntil.Store(now + plainFor)
	}
	if rcode == wire.RcodeNXDomain {
		srv.counters.nxdomain.Add(1)
	}
	return true
}

// keep remembers the best reply that is not good, the first of its rank.
func (ex *exchange) keep(msg []byte, parsed bool, rank int, srv *server) {
	if parsed && rank > ex.bestRank && ex.owner != nil && wire.Count(msg, wire.Question) == 1 {
		ex.best = append(ex.best[:0], msg...)
		ex.bestRank, ex.bestServer = rank, srv.spec.Addr
	}
}

// bareTruncated makes of a message whose end is missing one that says so.
func (ex *exchange) bareTruncated(msg []byte) []byte {
	out := append([]byte(nil), msg[:wire.HeaderLen+ex.nlen+4]...)
	wire.SetFlags(out, wire.Flags(out)|wire.FlagTC)
	for s := wire.Answer; s <= wire.Additional; s++ {
		wire.SetCount(out, s, 0)
	}
	return out
}

// socketFailed takes an error that the kernel reports on a connected socket: a
// closed port, no route. All that waits there has failed.
func (s *Set) socketFailed(sock *socket, errno unix.Errno, w *worker) {
	now := s.now()
	list := sock.takeAll(w.attempts[:0])
	for i, a := range list {
		list[i] = nil
		ex := a.ex
		if ex.refused(a, now, errno.Error()) {
			s.conclude(ex, w)
		}
		ex.release()
	}
	w.attempts = list[:0]
}

// Times of the ticker.
const (
	tickEvery = 10 * time.Millisecond
	// idleTicks without an exchange send the ticker to sleep.
	idleTicks = 100
	// retireEvery is how often sockets past their age are looked for.
	retireEvery = 30 * time.Second
)

// runTicker does what is due in exchanges, while there are any.
func (s *Set) runTicker(ctx context.Context) {
	w := s.newWorker()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	tick.Stop()
	retire := time.NewTicker(retireEvery)
	defer retire.Stop()
	idle := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			idle = 0
			tick.Reset(tickEvery)
		case <-retire.C:
			s.retire()
		case <-tick.C:
			s.tick(w)
			if s.inFlight.Load() != 0 {
				idle = 0
			} else if idle++; idle > idleTicks {
				tick.Stop()
				s.ticking.Store(false)
				if s.inFlight.Load() != 0 && s.ticking.CompareAndSwap(false, true) {
					tick.Reset(tickEvery)
				}
			}
		}
	}
}

// tick works on the exchanges that are due.
func (s *Set) tick(w *worker) {
	now := s.now()
	for i := range s.registries {
		w.due = s.registries[i].dueBefore(now, w.due[:0])
		for j, ex := range w.due {
			w.due[j] = nil
			if ex.tick(now, w) {
				s.conclude(ex, w)
			}
			ex.release()
		}
	}
	w.flush()
}

func (s *Set) retire() {
	now := s.now()
	cfg := s.cfg.Load()
	s.reload.Lock()
	defer s.reload.Unlock()
	for _, srv := range s.servers {
		_, _, age := cfg.poolLimits(&srv.spec)
		srv.pool.retire(now, age)
	}
}
