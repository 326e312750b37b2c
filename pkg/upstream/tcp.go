package upstream

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxTCPAttempts bounds the attempts of one question over TCP: two servers,
	// each once more on a fresh connection.
	maxTCPAttempts = 4
	// tcpPatience is how long an answer over TCP may take before the servers are
	// asked anew, unless Config.FirstRetry is longer; it still counts when it comes
	// later.
	tcpPatience = int64(2 * time.Second)
)

var errTooManyDials = errors.New("too many connections are being made")

// tryTCP asks srv again over TCP, after a truncated reply. The exchange's lock
// is held.
func (ex *exchange) tryTCP(srv *server, edns bool, now int64) {
	if ex.overTCP || ex.owner == nil {
		return
	}
	ex.overTCP = ex.attemptTCP(srv, edns, false, now)
}

// attemptTCP makes an attempt over TCP, on a connection of its own if alone. It
// reports false if none can be made. The lock is held.
func (ex *exchange) attemptTCP(srv *server, edns, alone bool, now int64) bool {
	s := ex.set
	if ex.tcpAttempts >= maxTCPAttempts {
		return false
	}
	if int(s.tcpOpen.Add(1)) > s.cfg.Load().TCPExchanges {
		s.tcpOpen.Add(-1)
		s.tcpLimit.Add(1)
		return false
	}
	a := &ex.attempts[ex.n]
	*a = attempt{ex: ex, srv: srv, sent: now, edns: edns, open: true, again: alone}
	ex.refs.Add(1)
	if err := srv.streams.assign(a, alone, now); err != nil {
		*a = attempt{}
		ex.refs.Add(-1)
		s.tcpOpen.Add(-1)
		s.tcpLimit.Add(1)
		return false
	}
	ex.tcpAttempts++
	ex.n++
	ex.open++
	ex.retryAt = now + max(tcpPatience, int64(s.cfg.Load().FirstRetry))
	srv.counters.sent.Add(1)
	srv.counters.retried.Add(1)
	s.tcpSum.Add(1)
	return true
}

// lost notes that the connection of an attempt ended. Unless it never began,
// the question is asked once more on a fresh one: servers close idle
// connections at any time (RFC 7766 §6.2.4). It reports whether the exchange
// has ended.
//
// That TCP fails says nothing about UDP, so the server does not count as silent.
func (ex *exchange) lost(a *attempt, connected bool, now int64) (ended bool) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done || !a.open {
		return false
	}
	a.open = false
	ex.open--
	if connected && !a.again && ex.attemptTCP(a.srv, a.edns, true, now) {
		return ex.settle(now)
	}
	a.srv.counters.failed.Add(1)
	ex.refusals++
	ex.err = ErrUnreachable
	ex.overTCP = false
	ex.advance(now)
	return ex.settle(now)
}

// runTCP starts the goroutine of each connection; they are few, and bounded.
func (s *Set) runTCP(ctx context.Context, wg *sync.WaitGroup) {
	for {
		select {
		case <-ctx.Done():
			return
		case st := <-s.dials:
			wg.Go(func() { st.run(ctx) })
		}
	}
}
