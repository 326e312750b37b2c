package forwarder

import (
	"errors"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// limits limits the questions in flight to the servers of each domain, and the queries that join
// them, and divides both among clients. If a new question is over the limit, the question that has
// waited longest is answered early, if it has waited for patience: by then it has been sent several
// times. The zero value is ready.
type limits struct {
	mu      sync.Mutex          // protects all fields, and those of the limiters
	domains map[string]*limiter // by the domain of the servers
	tidyAt  int                 // number of domains at which those without questions are removed
	number  uint64              // number of the last flight
}

// limiter counts what is in flight to the servers of one domain. limits.mu protects it.
type limiter struct {
	questions shares           // questions in flight that count; at most Config.InFlight
	waiters   shares           // queries that have joined a question in flight
	names     map[uint64]int32 // questions in flight by hash of their names
	oldest    *flight          // the first flight that counts, in order of admission
	newest    *flight          // the last flight that counts
}

// shares counts what clients hold of something that is limited. This program's own questions have
// the client that is not valid.
//
// Until the limit is reached, it does not matter whose it is. Then a client that has less than an
// equal share still gets more, up to a reserve of a quarter, so that one client cannot lock the
// others out.
type shares struct {
	total   int                // held by all clients
	clients map[netip.Addr]int // held by each client that holds something
}

// admit counts one more for a client, unless it must be refused. most is the largest total without
// the reserve.
func (s *shares) admit(client netip.Addr, most int) bool {
	held := s.clients[client]
	if s.total >= most {
		active := len(s.clients)
		if held == 0 {
			active++
		}
		if s.total >= most+(most+3)/4 || held >= most/max(active, 2) {
			return false
		}
	}
	if s.clients == nil {
		s.clients = map[netip.Addr]int{}
	}
	s.total++
	s.clients[client]++
	return true
}

// release undoes admit.
func (s *shares) release(client netip.Addr) {
	s.total--
	if s.clients[client]--; s.clients[client] == 0 {
		delete(s.clients, client)
	}
}

const (
	// waitersPerQuestion is how many queries may join questions in flight, for each question
	// that may be in flight.
	waitersPerQuestion = 4
	// questionsPerName is how many questions about one name, with different types or flags,
	// may be in flight. An attacker that sends guessed replies needs many of them. Ordinary
	// questions about addresses count, but are never refused, so that nobody can keep the
	// addresses of a name from others by asking for other types.
	questionsPerName = 8
	// patience is the shortest time before a waiting question may be answered early.
	patience = time.Second
	// roomTries is how many other questions are answered early to make room for one.
	roomTries = 8
	// idleDomains is how many domains without questions are remembered in any case.
	idleDomains = 64
)

// limiter returns the limiter of a domain. There may be very many domains, so those without
// questions do not stay. l.mu must be held.
func (l *limits) limiter(domain string) *limiter {
	if of := l.domains[domain]; of != nil {
		return of
	}
	if len(l.domains) >= l.tidyAt {
		maps.DeleteFunc(l.domains, func(_ string, of *limiter) bool {
			return of.questions.total == 0 && of.waiters.total == 0 && len(of.names) == 0
		})
		l.tidyAt = 2*len(l.domains) + idleDomains
	}
	if l.domains == nil {
		l.domains = map[string]*limiter{}
	}
	of := &limiter{names: map[uint64]int32{}}
	l.domains[domain] = of
	return of
}

// assign makes fl join the limits of a domain without counting it.
func (l *limits) assign(fl *flight, domain string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fl.limit, fl.counted, fl.nameHash = l.limiter(domain), false, 0
}

// inFlight returns the number of questions in flight, and of queries that have joined one.
func (l *limits) inFlight() (questions, waiters int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, of := range l.domains {
		questions, waiters = questions+of.questions.total, waiters+of.waiters.total
	}
	return questions, waiters
}

// AwaitQuiet waits until no question is in flight, but not longer than limit. Call it before the
// sockets are closed: whoever waits for an answer then would get none.
func (f *Forwarder) AwaitQuiet(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if questions, _ := f.limits.inFlight(); questions == 0 {
			return
		}
	}
}

// admit counts fl among the questions to the servers of a domain and returns began, unless it must
// be refused. most is Config.InFlight. name is a hash of its name, or 0 for a question that depends
// on the client, for which names are not counted.
func (l *limits) admit(fl *flight, domain string, most int, name uint64) joinResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.limiter(domain)
	if name != 0 && of.names[name] >= questionsPerName && !fl.asksAddresses() {
		return refusedTypes
	}
	if !of.questions.admit(fl.from, most) {
		return refused
	}
	if name != 0 {
		of.names[name]++
	}
	l.number++
	fl.limit, fl.number, fl.counted, fl.nameHash = of, l.number, true, name
	fl.older, fl.newer = of.newest, nil
	if of.newest != nil {
		of.newest.newer = fl
	} else {
		of.oldest = fl
	}
	of.newest = fl
	return began
}

// asksAddresses reports whether the question is an ordinary one about addresses. As equal questions
// join, there can be few of them about one name.
func (fl *flight) asksAddresses() bool {
	return (fl.typ == wire.TypeA || fl.typ == wire.TypeAAAA) && fl.class == wire.ClassIN &&
		fl.flags&(wire.FlagRD|wire.FlagCD) == wire.FlagRD
}

// release undoes admit, unless uncount has done so.
func (l *limits) release(fl *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if names := fl.limit.names; fl.nameHash != 0 {
		if names[fl.nameHash]--; names[fl.nameHash] == 0 {
			delete(names, fl.nameHash)
		}
	}
	if fl.counted {
		fl.limit.uncount(fl)
	}
}

// uncount removes fl from the questions that count.
func (of *limiter) uncount(fl *flight) {
	of.questions.release(fl.from)
	if fl.older != nil {
		fl.older.newer = fl.newer
	} else {
		of.oldest = fl.newer
	}
	if fl.newer != nil {
		fl.newer.older = fl.older
	} else {
		of.newest = fl.older
	}
	fl.older, fl.newer, fl.counted = nil, nil, false
}

// admitWaiter counts the query of a client that joins fl, unless it must be refused. most is
// Config.InFlight.
func (l *limits) admitWaiter(fl *flight, client netip.Addr, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fl.limit.waiters.admit(client, waitersPerQuestion*most)
}

// releaseWaiters undoes admitWaiter for those of the waiters of fl that count.
func (l *limits) releaseWaiters(fl *flight, waiters []waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range waiters {
		if w := &waiters[i]; w.counted {
			fl.limit.waiters.release(w.to.Peer().Addr())
			w.counted = false
		}
	}
}

// takeOldest removes the question of a domain that has waited longest from those that count, if it
// has waited for patience, and returns it with what identifies it. Otherwise it returns nil.
func (l *limits) takeOldest(domain string, now int64) (fl *flight, hash, number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.limiter(domain)
	fl = of.oldest
	if fl == nil || now-fl.began < int64(patience) {
		return nil, 0, 0
	}
	of.uncount(fl)
	return fl, fl.hash, fl.number
}

// makeRoom answers the waiters of the question of a domain that has waited longest, with an expired
// answer or SERVFAIL. The question remains in flight, so that its answer is still cached. It
// reports whether it made room. The caller must not hold a shard's lock.
func (f *Forwarder) makeRoom(domain string) bool {
	fl, hash, number := f.limits.takeOldest(domain, f.now())
	if fl == nil {
		return false
	}
	sh := &f.shards[hash%flightShards]
	sh.mu.Lock()
	if !sh.has(hash, fl) || fl.number != number {
		sh.mu.Unlock()
		return true // it has ended by itself
	}
	f.madeRoom.Add(1)
	s := f.sinks.Get().(*answerSink)
	st := f.state.Load()
	ended := fl.detach()
	f.limits.releaseWaiters(fl, ended.waiters)
	sh.mu.Unlock()
	ended.giveUp(st, s, wire.EDENoReachableAuthority, errNoRoom)
	s.Flush()
	f.sinks.Put(s)
	return true
}

// errNoRoom is the reason for a question that is answered early.
var errNoRoom = errors.New("no answer so far, and too many questions are in flight")

// giveUp answers the waiters with the expired answer or, if there is none, with SERVFAIL.
func (fl *flight) giveUp(st *snapshot, s *answerSink, code uint16, err error) {
	defer fl.f.recovered(fl.name[:fl.nlen])
	fl.fail(st, s, fl.giveStale(st, s, fl.waiters), code, err)
}
