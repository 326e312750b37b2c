package forwarder

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const flightShards = 16

// flightShard is a part of the questions in flight, by hash; flights of one
// hash are chained.
type flightShard struct {
	mu      sync.Mutex
	flights map[uint64]*flight
	_       [48]byte
}

// flight is one question on its way to other servers and all who wait for its
// answer. Fields up to waiters are constant while it is in a shard.
type flight struct {
	f     *Forwarder
	next  *flight
	hash  uint64
	name  [wire.MaxName]byte // as first spelled
	nlen  int
	typ   uint16
	class uint16
	flags uint16 // of keyFlags
	do    bool
	tags  string // EDNS options about who asks
	// private is whether the answer is for these clients alone.
	private bool
	routes  routing // what decided whom to ask
	began   int64   // Forwarder.now
	again   bool    // it was asked anew because of a change of routes

	limit    *limiter
	bucket   int     // of its client in limit
	number   uint64  // in limit
	nameHash uint64  // in limit
	counted  bool    // guarded by limit, as what follows
	older    *flight // neighbours in limit
	newer    *flight

	serial uint64
	client listener.ReplyTo
	// asked is the cache's epoch from before the servers were chosen.
	asked answercache.Epoch

	// Guarded by the shard while the flight is in it.
	waiters []waiter
	names   []byte // other spellings
	extra   int    // waiters that the limiter counted
	slow    bool   // expired answers are given out meanwhile
}

// waiter is one asker and what its answer needs.
type waiter struct {
	asker
	id, flags uint16
	size      uint16
	edns      bool
	hasCookie bool
	cookie    [8]byte
	nameAt    int32 // in flight.names; negative: as flight.name
	since     int64 // Forwarder.now, when the query's batch arrived
}

// keyFlags are the flags that leave this program.
const keyFlags = wire.FlagRD | wire.FlagAD | wire.FlagCD

// sentFlags are the flags of the question that servers are asked. Where AD is
// passed on it is always asked for, so that it does not depend on who asked
// first whether others get it (RFC 6840 §5.7).
func (q *Query) sentFlags() uint16 {
	flags := q.Msg.Flags & keyFlags
	if q.st.cfg.Cache.KeepAD {
		flags |= wire.FlagAD
	}
	return flags
}

// joinResult says what join did.
type joinResult uint8

const (
	refused      joinResult = iota // too many are in flight
	refusedTypes                   // too many about this name are
	began                          // servers are asked
	joined                         // waits for a question that is in flight
	joinedSlow                     // that one is slow: give an expired answer
)

// hash returns the hash of what leaves this program for q.
func (q *Query) hash() uint64 {
	var buf [wire.MaxName + 7]byte
	m := q.Msg
	key := append(buf[:0], q.Name...)
	key = binary.BigEndian.AppendUint16(key, m.Type)
	key = binary.BigEndian.AppendUint16(key, m.Class)
	key = binary.BigEndian.AppendUint16(key, q.sentFlags())
	if m.EDNS.DO {
		key = append(key, 1)
	}
	key = append(key, q.Options...)
	return maphash.Bytes(q.f.seed, key)
}

// nameHash returns a hash of the name, never 0, or 0 for a question that differs
// because of who asks.
func (q *Query) nameHash() uint64 {
	if q.Private {
		return 0
	}
	return maphash.Bytes(q.f.seed, q.Name) | 1
}

// has reports whether fl is in the shard.
func (sh *flightShard) has(hash uint64, fl *flight) bool {
	for x := sh.flights[hash]; x != nil; x = x.next {
		if x == fl {
			return true
		}
	}
	return false
}

// find returns the flight of q's question, nil if there is none.
func (sh *flightShard) find(hash uint64, q *Query) *flight {
	m, flags := q.Msg, q.sentFlags()
	for fl := sh.flights[hash]; fl != nil; fl = fl.next {
		if fl.typ == m.Type && fl.class == m.Class && fl.flags == flags && fl.do == m.EDNS.DO && fl.tags == q.Options &&
			wire.EqualNames(fl.name[:fl.nlen], m.Name) {
			return fl
		}
	}
	return nil
}

func (sh *flightShard) insert(fl *flight) {
	fl.next = sh.flights[fl.hash]
	sh.flights[fl.hash] = fl
}

func (sh *flightShard) remove(fl *flight) {
	first := sh.flights[fl.hash]
	if first == fl {
		if fl.next == nil {
			delete(sh.flights, fl.hash)
		} else {
			sh.flights[fl.hash] = fl.next
		}
		return
	}
	for p := first; p != nil; p = p.next {
		if p.next == fl {
			p.next = fl.next
			return
		}
	}
}

// join makes q wait for the answer to its question, asking g if nobody has
// asked yet. stale says that the cache has an expired answer that may be given.
func (f *Forwarder) join(q *Query, g *upstream.Group, stale bool) joinResult {
	hash := q.hash()
	sh := &f.shards[hash%flightShards]
	sh.mu.Lock()
	if fl := sh.find(hash, q); fl != nil {
		defer sh.mu.Unlock()
		return f.joinFlight(fl, q, stale)
	}
	fl := f.newFlight(q, hash)
	if result := f.limiter(g).admit(fl, f.bucket(&q.asker), q.nameHash()); result != admitted {
		sh.mu.Unlock()
		f.flights.Put(fl)
		if result == overTypes {
			return refusedTypes
		}
		return refused
	}
	fl.private, fl.serial, fl.client = q.Private, q.serial, q.to
	fl.add(q)
	sh.insert(fl)
	sh.mu.Unlock()
	var slowAfter time.Duration
	if stale {
		slowAfter = q.st.cfg.StaleAfter
	}
	f.send(q, g, slowAfter, fl)
	return began
}

// begin asks g q's question for the cache alone, unless it is being asked or
// too many are.
func (f *Forwarder) begin(q *Query, g *upstream.Group) bool {
	hash := q.hash()
	sh := &f.shards[hash%flightShards]
	sh.mu.Lock()
	if sh.find(hash, q) != nil {
		sh.mu.Unlock()
		return false
	}
	fl := f.newFlight(q, hash)
	if f.limiter(g).admit(fl, f.bucket(nil), q.nameHash()) != admitted {
		sh.mu.Unlock()
		f.flights.Put(fl)
		return false
	}
	sh.insert(fl)
	sh.mu.Unlock()
	f.send(q, g, 0, fl)
	return true
}

// newFlight returns a flight for q's question that nobody waits for.
func (f *Forwarder) newFlight(q *Query, hash uint64) *flight {
	fl, m := f.flights.Get().(*flight), q.Msg
	fl.hash, fl.extra, fl.slow = hash, 0, false
	fl.nlen = copy(fl.name[:], m.Name)
	fl.typ, fl.class, fl.flags, fl.do = m.Type, m.Class, q.sentFlags(), m.EDNS.DO
	fl.tags, fl.private, fl.serial, fl.asked = q.Options, false, 0, q.epoch
	fl.routes, fl.began, fl.again = q.routes, q.now, false
	return fl
}

// send hands q's question to the set. It must not alias fl, which may end
// before Send returns.
func (f *Forwarder) send(q *Query, g *upstream.Group, slowAfter time.Duration, fl *flight) {
	m := q.Msg
	f.set.Send(g, &upstream.Question{
		Name: m.Name, Type: m.Type, Class: m.Class, Flags: q.sentFlags(), DO: m.EDNS.DO, Options: q.Options,
		Client: q.to.Peer().Addr(),
	}, slowAfter, fl)
}

// dedupWaiters is up to how many waiters a repeated query is looked for among
// them. Beyond that the search would cost more than a second answer.
const dedupWaiters = 64

// joinFlight adds q to those who wait for fl. The shard's lock is held.
func (f *Forwarder) joinFlight(fl *flight, q *Query, stale bool) joinResult {
	if stale && fl.slow {
		return joinedSlow
	}
	if q.resolve == nil && len(fl.waiters) <= dedupWaiters {
		for i := range fl.waiters {
			if w := &fl.waiters[i]; w.id == q.Msg.ID && w.to == q.to {
				q.to.Drop() // the client repeats its query: one answer serves both
				return joined
			}
		}
	}
	if !fl.limit.admitWaiter() {
		return refused
	}
	fl.extra++
	fl.add(q)
	if q.st.log != nil {
		q.log(Event{Kind: EventDuplicate}, nil)
	}
	return joined
}

// add makes q wait for fl.
func (fl *flight) add(q *Query) {
	m := q.Msg
	w := waiter{
		asker: q.asker, id: m.ID, flags: m.Flags, size: m.EDNS.Size, edns: m.EDNS.Present, nameAt: -1, since: q.now,
	}
	if string(m.Name) != string(fl.name[:fl.nlen]) {
		w.nameAt = int32(len(fl.names))
		fl.names = append(fl.names, m.Name...)
	}
	if m.EDNS.ClientCookie != nil {
		w.hasCookie = true
		copy(w.cookie[:], m.EDNS.ClientCookie)
	}
	fl.waiters = append(fl.waiters, w)
}

// query makes the waiter's query again. It aliases fl.
func (fl *flight) query(w *waiter) wire.Query {
	q := wire.Query{ID: w.id, Flags: w.flags, Name: fl.name[:fl.nlen], Type: fl.typ, Class: fl.class}
	if w.nameAt >= 0 {
		q.Name = fl.names[w.nameAt : int(w.nameAt)+fl.nlen]
	}
	q.EDNS.Present, q.EDNS.Size, q.EDNS.DO = w.edns, w.size, fl.do
	if w.hasCookie {
		q.EDNS.ClientCookie = w.cookie[:]
	}
	return q
}

// question is the query as asked upstream, the key for the cache.
func (fl *flight) question() wire.Query {
	q := wire.Query{Flags: fl.flags, Name: fl.name[:fl.nlen], Type: fl.typ, Class: fl.class}
	q.EDNS.Present, q.EDNS.DO = fl.do, fl.do
	return q
}

// recycle gives the flight back for another question.
func (fl *flight) recycle() {
	const keep = 64
	if cap(fl.waiters) > keep {
		fl.waiters = nil
	}
	if cap(fl.names) > keep*wire.MaxLabel {
		fl.names = nil
	}
	clear(fl.waiters)
	fl.waiters, fl.names = fl.waiters[:0], fl.names[:0]
	fl.next, fl.client, fl.asked = nil, listener.ReplyTo{}, answercache.Epoch{}
	fl.tags, fl.routes = "", routing{}
	fl.f.flights.Put(fl)
}
