package upstream

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxAttempts bounds the packets sent for one question.
const maxAttempts = 8

// exchange is one question on its way. Fields up to mu are constant while it is
// shared.
type exchange struct {
	set   *Set
	group *Group
	owner Owner // nil: a probe of one server, whose answer interests nobody
	name  [wire.MaxName]byte
	nlen  int
	typ   uint16
	class uint16
	flags uint16
	do    bool
	// options are those of the question.
	options []byte

	started int64 // nanoseconds of Set.now, as all times here
	shard   *registry
	prev    *exchange // in shard
	next    *exchange

	refs atomic.Int32
	due  atomic.Int64 // when the ticker has to look

	mu       sync.Mutex
	done     bool
	deadline int64
	retryAt  int64
	retryGap int64
	slowAt   int64 // 0: never
	attempts [maxAttempts + maxTCPAttempts]attempt
	n        int  // attempts made
	open     int  // attempts that may still bring something
	refusals int  // attempts that failed at once
	overTCP  bool // an answer over TCP is awaited
	// tcpAttempts are those of attempts that went over TCP.
	tcpAttempts int
	// best is the best error reply so far, bestRank 0 when there is none.
	best       []byte
	bestRank   int
	bestServer netip.AddrPort
	err        error // what to tell when there is no reply
}

// Ranks of replies that are not good. A truncated answer is worth more than an
// error.
const (
	rankError = 1 + iota
	rankTruncated
)

// attempt is one question sent. While it waits for a reply it is in the table
// of its socket or connection, which holds a reference to the exchange.
type attempt struct {
	ex     *exchange
	srv    *server
	sock   *socket // over UDP
	stream *stream // over TCP
	sent   int64
	id     uint16
	mix    uint64 // for mixCase
	edns   bool
	mixed  bool // the question's case was changed by mix
	again  bool // it is, over TCP, or was, for its reply's case, asked once more
	late   bool // counted as silent
	open   bool
}

const (
	// graceForBetter is how long a good answer may still come after an error.
	graceForBetter = int64(2 * time.Second)
	// probeTimeout bounds the exchanges that only measure.
	probeTimeout = int64(2 * time.Second)
	// refusedGap is the time before servers that cannot be reached are tried
	// once more; it bridges the moment in which a server restarts.
	refusedGap = int64(200 * time.Millisecond)
	// maxKept is the largest buffer that a pooled exchange keeps.
	maxKept = 4096
)

// matches reports whether msg, whose id and QR are right, repeats the
// question. A server that does not understand EDNS may answer with a bare
// header. The caller holds the socket's lock, so ex is alive.
func (ex *exchange) matches(msg []byte, edns bool) bool {
	if msg[2]&0x78 != 0 { // opcode
		return false
	}
	if binary.BigEndian.Uint16(msg[4:]) == 0 {
		rcode := int(msg[3] & 0xf)
		return edns && len(msg) == wire.HeaderLen && (rcode == wire.RcodeFormErr || rcode == wire.RcodeNotImp)
	}
	end := wire.HeaderLen + ex.nlen
	return binary.BigEndian.Uint16(msg[4:]) == 1 && len(msg) >= end+4 &&
		binary.BigEndian.Uint16(msg[end:]) == ex.typ && binary.BigEndian.Uint16(msg[end+2:]) == ex.class &&
		wire.EqualNames(msg[wire.HeaderLen:end], ex.name[:ex.nlen]) && ex.agrees(msg)
}

// release gives a reference back.
func (ex *exchange) release() {
	if ex.refs.Add(-1) == 0 {
		ex.recycle()
	}
}

func (ex *exchange) recycle() {
	ex.owner, ex.group, ex.shard, ex.err = nil, nil, nil, nil
	for i := range ex.attempts[:ex.n] {
		ex.attempts[i] = attempt{}
	}
	ex.n, ex.open, ex.refusals, ex.bestRank = 0, 0, 0, 0
	ex.done, ex.overTCP, ex.tcpAttempts = false, false, 0
	ex.slowAt = 0
	if cap(ex.best) > maxKept {
		ex.best = nil
	}
	ex.set.exchanges.Put(ex)
}

// start makes the first attempts. ex is in its registry already and the
// caller holds a reference. It returns true when the exchange has ended.
func (ex *exchange) start(now int64, only *server) (ended bool) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done {
		return false
	}
	cfg := ex.set.cfg.Load()
	switch {
	case only != nil:
		ex.try(only, ex.ednsTo(only, now), now)
	case len(ex.group.servers) > 1 && (cfg.Strategy == All || cfg.Strategy == Fastest && !ex.group.measured()):
		for _, s := range ex.group.servers[:min(len(ex.group.servers), maxAttempts/2)] {
			ex.try(s, ex.ednsTo(s, now), now)
		}
	default:
		s := ex.nextServer(cfg)
		ex.try(s, ex.ednsTo(s, now), now)
	}
	return ex.settle(now)
}

// nextServer returns the server to ask now.
func (ex *exchange) nextServer(cfg *Config) *server {
	return ex.group.next(cfg.Strategy == InOrder, func(s *server) int {
		n := 0
		for i := range ex.attempts[:ex.n] {
			switch a := &ex.attempts[i]; {
			case a.srv != s:
			case a.open:
				n++
			default: // it has said what it has to say: the silent ones first
				n += maxAttempts
			}
		}
		return n
	})
}

func (ex *exchange) ednsTo(s *server, now int64) bool {
	until := s.plainUntil.Load()
	return until == 0 || now >= until
}

// try makes an attempt at s. The lock is held.
func (ex *exchange) try(s *server, edns bool, now int64) {
	if ex.n >= maxAttempts {
		return
	}
	if s.looping.Load() && ex.owner != nil {
		ex.err = ErrUnreachable
		ex.refusals++
		return
	}
	a := &ex.attempts[ex.n]
	*a = attempt{ex: ex, srv: s, sent: now, edns: edns}
	a.mixed = ex.owner != nil && ex.set.cfg.Load().MixCase && s.mixes(now)
	ex.refs.Add(1)
	if err := s.pool.assign(s, ex.set, a, now); err != nil {
		ex.refs.Add(-1)
		ex.err = ErrUnreachable
		ex.refusals++
		ex.set.socketLog(s, err)
		return
	}
	a.open = true
	if ex.n > 0 {
		s.counters.retried.Add(1)
	}
	s.counters.sent.Add(1)
	ex.n++
	ex.open++
	ex.set.enqueue(a)
	if cfg := ex.set.cfg.Load(); cfg.OnSend != nil && ex.owner != nil {
		cfg.OnSend(ex.owner, s.spec.Addr)
	}
	ex.retryAt = now + ex.gap(s)
}

// gap is the time to wait for s before trying anew: longer with each attempt,
// and longer where nobody else could be asked.
func (ex *exchange) gap(s *server) int64 {
	if ex.retryGap == 0 {
		switch first := int64(ex.set.cfg.Load().FirstRetry); {
		case first > 0:
			ex.retryGap = first
		case ex.group == nil || len(ex.group.servers) == 1:
			ex.retryGap = maxRTO
		default:
			ex.retryGap = s.rto()
		}
	}
	return ex.retryGap
}

// advance goes on after an attempt that failed or brought an error: to a server
// not yet asked, else it waits for those that are open.
func (ex *exchange) advance(now int64) {
	if ex.owner == nil {
		return
	}
	cfg := ex.set.cfg.Load()
	if ex.n < maxAttempts && !ex.overTCP {
		s := ex.nextServer(cfg)
		if !slices.ContainsFunc(ex.attempts[:ex.n], func(a attempt) bool { return a.srv == s }) {
			before := ex.n
			ex.try(s, ex.ednsTo(s, now), now)
			if ex.n > before {
				return
			}
		}
	}
	if ex.bestRank > 0 && ex.open > 0 {
		ex.deadline = min(ex.deadline, now+graceForBetter)
	}
}

// settle decides what the ticker has to do next, and reports whether nothing
// is left to wait for.
func (ex *exchange) settle(now int64) (ended bool) {
	if ex.done {
		return false
	}
	if ex.open == 0 {
		if ex.owner == nil || ex.bestRank > 0 || ex.refusals == 0 || ex.refusals > 2*ex.width() || ex.n >= maxAttempts {
			return true
		}
		ex.retryAt = now + refusedGap
		if ex.slowAt != 0 {
			ex.slowAt = now // nobody works on it, so there is nothing to wait for
		}
	}
	due := ex.deadline
	if ex.owner != nil && ex.n < maxAttempts {
		due = min(due, ex.retryAt)
	}
	if ex.slowAt != 0 {
		due = min(due, ex.slowAt)
	}
	ex.due.Store(due)
	return false
}

// width is the number of servers that can be asked.
func (ex *exchange) width() int {
	if ex.group == nil {
		return 1
	}
	return len(ex.group.servers)
}

// tick does what is due. It reports whether the exchange has ended.
func (ex *exchange) tick(now int64, w *worker) (ended bool) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done {
		return false
	}
	if now >= ex.deadline {
		for i := range ex.attempts[:ex.n] {
			ex.attempts[i].overdue(now, 0)
		}
		return true
	}
	if ex.slowAt != 0 && now >= ex.slowAt {
		ex.slowAt = 0
		ex.owner.Slow(w.sink)
	}
	if ex.owner != nil && now >= ex.retryAt && ex.n < maxAttempts {
		ex.overTCP = false
		for i := range ex.attempts[:ex.n] {
			ex.attempts[i].overdue(now, ex.retryGap)
		}
		if ex.retryGap != 0 && ex.n >= ex.width() {
			ex.retryGap *= 2
		}
		s := ex.nextServer(ex.set.cfg.Load())
		ex.try(s, ex.ednsTo(s, now), now)
	}
	return ex.settle(now)
}

// overdue counts an attempt as silent, once, if it has waited that long.
func (a *attempt) overdue(now, waited int64) {
	if !a.open || a.late || now-a.sent < waited {
		return
	}
	a.late = true
	if a.stream != nil {
		a.stream.silentSince(a.sent)
		a.srv.counters.failed.Add(1)
		return
	}
	a.srv.silent(1, now, "no answer in time")
}

// refused notes that a's socket reported an error. It reports whether the
// exchange has ended.
func (ex *exchange) refused(a *attempt, now int64, reason string) (ended bool) {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done || !a.open {
		return false
	}
	a.open = false
	ex.open--
	ex.refusals++
	ex.err = ErrUnreachable
	a.srv.silent(downAfter, now, reason)
	ex.advance(now)
	return ex.settle(now)
}

// finish ends the exchange if it has not ended yet: it closes what is open and
// takes it out of the registry. The caller then tells the owner and gives up
// the reference that the registry had.
func (ex *exchange) finish() bool {
	ex.mu.Lock()
	if ex.done {
		ex.mu.Unlock()
		return false
	}
	ex.done = true
	gone := 0
	for i := range ex.attempts[:ex.n] {
		switch a := &ex.attempts[i]; {
		case !a.open:
		case a.sock != nil && a.sock.remove(a), a.stream != nil && a.stream.remove(a):
			gone++
		}
	}
	ex.mu.Unlock()
	ex.refs.Add(int32(-gone)) // the registry's reference is still there
	ex.shard.remove(ex)
	return true
}
