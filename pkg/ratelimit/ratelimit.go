// Package ratelimit bounds the queries of each client in a second.
//
// Use [New] and put [Limiter.Stage] before all other stages of a forwarder. A
// client over its rate gets truncated answers without records over UDP, so that a
// real one asks again over TCP, and an attacker who forges its address gets no
// more sent there than they sent. Over TCP a client has its rate once more; above
// it, it is REFUSED. Clients are IPv4 addresses and IPv6 networks of 64 bits.
// 127.0.0.1 and ::1 have no limit: probes come from there.
package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	// sets of ways clients are remembered: 16384 in 384 KiB, whoever asks. Of a
	// full set the client that was idle longest is forgotten.
	sets = 4096
	ways = 4
	// locks guard the sets.
	locks = 64
)

// Limiter counts the queries of clients. Its methods may be called from any
// goroutine.
type Limiter struct {
	interval int64 // nanoseconds between two queries at the rate
	burst    int64 // nanoseconds that a client may be ahead
	seed     maphash.Seed
	mu       [locks]struct {
		sync.Mutex
		_ [56]byte
	}
	table [sets][ways]client

	limitedUDP, limitedTCP atomic.Uint64
}

// client is what is known of one: a hash of its address, and for UDP and TCP the
// time up to which the queries so far have used its rate up (the generic cell
// rate algorithm), in nanoseconds of Query.Now.
type client struct {
	hash uint64
	used [2]int64
}

// New returns a limiter of qps queries a second, which lets bursts of up to burst
// queries pass. Both are at least 1.
func New(qps, burst int) *Limiter {
	interval := int64(time.Second) / int64(max(qps, 1))
	return &Limiter{
		interval: interval, burst: interval * int64(max(burst, 1)),
		seed: maphash.MakeSeed(),
	}
}

// Stats counts the queries over the rate: those answered with TC over UDP, and
// those refused over TCP.
type Stats struct{ UDP, TCP uint64 }

// Stats returns the counters.
func (l *Limiter) Stats() Stats { return Stats{l.limitedUDP.Load(), l.limitedTCP.Load()} }

// Stage returns the stage that limits.
func (l *Limiter) Stage() forwarder.Stage {
	return forwarder.Stage{Name: "rate limit", Query: func(q *forwarder.Query) bool {
		addr := q.Client()
		if q.Inner() || !addr.IsValid() || l.allow(addr, q.Stream(), q.Now()) {
			return false
		}
		if q.Stream() {
			l.limitedTCP.Add(1)
			return q.AnswerError(wire.RcodeRefused, wire.Extended(wire.EDEProhibited, "too many queries"))
		}
		l.limitedUDP.Add(1)
		return q.AnswerTruncated()
	}}
}

// allow counts a query at a time and reports whether it is within the rate.
func (l *Limiter) allow(addr netip.Addr, stream bool, now int64) bool {
	addr = addr.Unmap().WithZone("")
	if addr == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || addr == netip.IPv6Loopback() {
		return true
	}
	if addr.Is6() {
		p, _ := addr.Prefix(64)
		addr = p.Addr()
	}
	hash := maphash.Comparable(l.seed, addr) | 1
	set := hash >> 32 % sets
	l.mu[set%locks].Lock()
	defer l.mu[set%locks].Unlock()
	c := l.find(&l.table[set], hash)
	i := 0
	if stream {
		i = 1
	}
	used := max(c.used[i], now) + l.interval
	if used-now > l.burst {
		return false
	}
	c.used[i] = used
	return true
}

// find returns the client in its set, made if it is not there.
func (l *Limiter) find(set *[ways]client, hash uint64) *client {
	idle := &set[0]
	for i := range set {
		c := &set[i]
		if c.hash == hash {
			return c
		}
		if max(c.used[0], c.used[1]) < max(idle.used[0], idle.used[1]) {
			idle = c
		}
	}
	*idle = client{hash: hash}
	return idle
}
