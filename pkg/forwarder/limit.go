package forwarder

import (
	"hash/maphash"
	"sync/atomic"
)

// limiter bounds the questions in flight and shares them among clients.
//
// max questions may be in flight, whosever they are. When that many are, a
// client that has fewer than an equal share still gets in, up to a reserve of
// a quarter, so that one client cannot shut the others out.
type limiter struct {
	max     atomic.Int32
	total   atomic.Int32
	waiters atomic.Int32
	active  atomic.Int32 // clients with something in flight
	clients [clientBuckets]atomic.Int32
}

const (
	// clientBuckets is how many counters clients are hashed to; two in one
	// share its share.
	clientBuckets = 1024
	// waitersPerQuestion bounds the askers that wait for questions of others:
	// so many for each question that may be in flight.
	waitersPerQuestion = 4
)

// admit counts one more question of a client and returns its bucket. ok is
// false when it has to be refused. A nil asker is this program.
func (l *limiter) admit(f *Forwarder, a *asker) (bucket int, ok bool) {
	if a != nil && a.resolve == nil {
		addr := a.to.Peer().Addr()
		bucket = int(maphash.Comparable(f.seed, addr) % clientBuckets)
	}
	limit, total := l.max.Load(), l.total.Add(1)
	mine := l.clients[bucket].Add(1)
	if mine == 1 {
		l.active.Add(1)
	}
	if total > limit && (total > limit+(limit+3)/4 || mine > limit/max(l.active.Load(), 2)) {
		l.release(bucket, 0)
		return 0, false
	}
	return bucket, true
}

// release undoes admit, and extra times admitWaiter.
func (l *limiter) release(bucket, extra int) {
	l.total.Add(-1)
	if l.clients[bucket].Add(-1) == 0 {
		l.active.Add(-1)
	}
	l.releaseWaiters(extra)
}

// admitWaiter counts one who waits for a question in flight.
func (l *limiter) admitWaiter() bool {
	if l.waiters.Add(1) > waitersPerQuestion*l.max.Load() {
		l.waiters.Add(-1)
		return false
	}
	return true
}

func (l *limiter) releaseWaiters(n int) {
	if n > 0 {
		l.waiters.Add(int32(-n))
	}
}
