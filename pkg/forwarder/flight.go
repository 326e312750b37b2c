package forwarder

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const flightShards = 16

// flightShard holds a share of the questions in flight, by hash. Flights with equal hashes
// are linked.
type flightShard struct {
	mu      sync.Mutex
	flights map[uint64]*flight
	_       [48]byte // keeps shards in different cache lines
}

// flight is one question on its way to upstream servers, with all its waiters. Unless noted
// otherwise, fields do not change while the flight is in a shard.
type flight struct {
	f     *Forwarder         // the forwarder that it belongs to
	next  *flight            // the next flight with this hash; protected by the shard
	hash  uint64             // hash of the question; chooses the shard
	name  [wire.MaxName]byte // the question's name in its first spelling
	nlen  int                // octets of name in use
	typ   uint16             // type of the question
	class uint16             // class of the question
	flags uint16             // the flags sent, out of keyFlags
	do    bool               // the DO bit sent
	tags  string             // Query.Options: EDNS options added by stages
	// private is Query.Private: the answer is only for these waiters.
	private bool
	routes  routing // the routes by which the servers were chosen; askAgain changes it
	began   int64   // Forwarder.now at the first waiter's query
	again   bool    // the question was asked again because routes changed; askAgain sets it

	limit    *limiter // counts the flight
	number   uint64   // number of the flight in limits
	nameHash uint64   // hash of the name in limit; 0 if limit does not count the name
	counted  bool     // the flight is counted in limit; protected by limits, like the next two
	older    *flight  // the flight admitted before, in limit
	newer    *flight  // the flight admitted after, in limit

	serial uint64           // number of the first query in the query log
	client listener.ReplyTo // the first client, if it waits
	from   netip.Addr       // the address of the client whose query began the flight; not valid if there is none
	// asked is the cache's epoch before the servers were chosen; askAgain changes it.
	asked answercache.Epoch

	// The fields below are protected by the shard while the flight is in it.
	waiters []waiter
	names   []byte // other spellings of the name
	slow    bool   // clients get the expired answer meanwhile
	// completing means that the question has been answered and its name is being completed.
	completing bool
}

// waiter waits for the answer to a question in flight.
type waiter struct {
	recipient         // who gets the answer
	id, flags uint16  // id and flags of the query
	size      uint16  // the UDP payload size of its OPT record, in octets
	edns      bool    // it has an OPT record
	hasCookie bool    // it has a client cookie
	cookie    [8]byte // the client cookie
	counted   bool    // it is counted in flight.limit
	nameAt    int32   // offset of its spelling in flight.names; negative for that in flight.name
	since     int64   // Forwarder.now when the query's batch arrived
}

// keyFlags are the flags that are forwarded.
const keyFlags = wire.FlagRD | wire.FlagAD | wire.FlagCD

// sentFlags returns the flags of the question to upstream servers. If AD is relayed, it is
// always set, so that whether clients get it does not depend on which of them asked first (RFC
// 6840 §5.7).
func (q *Query) sentFlags() uint16 {
	flags := q.Msg.Flags & keyFlags
	if q.st.cfg.Cache.KeepAD {
		flags |= wire.FlagAD
	}
	return flags
}

// joinResult is the result of join.
type joinResult uint8

const (
	refused      joinResult = iota // too many questions are in flight
	refusedTypes                   // too many questions about this name are in flight
	began                          // the question was sent
	joined                         // the query waits for a question that is in flight
	joinedSlow                     // that question is slow: give an expired answer
)

// hash returns the hash of the question that would be sent for q.
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

// nameHash returns a hash of the name that is not 0, or 0 if the question depends on the
// client.
func (q *Query) nameHash() uint64 {
	if q.Private {
		return 0
	}
	return maphash.Bytes(q.f.seed, q.Name) | 1
}

// has reports whether fl is in the shard. sh.mu must be held.
func (sh *flightShard) has(hash uint64, fl *flight) bool {
	for x := sh.flights[hash]; x != nil; x = x.next {
		if x == fl {
			return true
		}
	}
	return false
}

// find returns the flight of q's question, or nil if there is none. sh.mu must be held.
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

// joinMode says who gets the answer.
type joinMode uint8

const (
	joinWaits   joinMode = iota // the client, who waits
	joinStale                   // the same, but the cache has an expired answer that may be given
	joinRefresh                 // only the cache
)

// join makes q wait for the answer to its question, unless mode is joinRefresh, and sends the
// question to g if it is not in flight yet.
func (f *Forwarder) join(q *Query, g *upstream.Group, mode joinMode) joinResult {
	hash := q.hash()
	sh := &f.shards[hash%flightShards]
	sh.mu.Lock()
	if fl := sh.find(hash, q); fl != nil {
		defer sh.mu.Unlock()
		if mode == joinRefresh {
			return joined
		}
		return f.joinFlight(fl, q, mode == joinStale)
	}
	fl := f.newFlight(q, hash)
	if mode == joinRefresh {
		fl.serial, fl.client = 0, listener.ReplyTo{}
	} else {
		fl.addWaiter(q, false)
	}
	if result := f.limits.admit(fl, g.Domain(), q.st.cfg.InFlight, q.nameHash()); result != began {
		sh.mu.Unlock()
		fl.recycle()
		return result
	}
	sh.insert(fl)
	sh.mu.Unlock()
	var slowAfter time.Duration
	if mode == joinStale {
		slowAfter = q.st.cfg.StaleAfter
	}
	f.send(q, g, slowAfter, fl)
	return began
}

// newFlight returns a flight for q's question, without waiters.
func (f *Forwarder) newFlight(q *Query, hash uint64) *flight {
	fl, m := f.flights.Get().(*flight), q.Msg
	fl.hash, fl.slow, fl.completing = hash, false, false
	fl.nlen = copy(fl.name[:], m.Name)
	fl.typ, fl.class, fl.flags, fl.do = m.Type, m.Class, q.sentFlags(), m.EDNS.DO
	fl.tags, fl.private, fl.serial, fl.client, fl.asked = q.Options, q.Private, q.serial, q.to, q.epoch
	fl.routes, fl.began, fl.again = q.routes, q.now, false
	fl.from = q.Client()
	return fl
}

// send passes q's question to the upstream set. The question must not refer to the memory of
// fl, which may end before Send returns.
func (f *Forwarder) send(q *Query, g *upstream.Group, slowAfter time.Duration, fl *flight) {
	question := fl.toSend(q.Msg.Name)
	f.set.Send(g, &question, slowAfter, fl)
}

// toSend returns the question for the upstream set, about fl's name in other memory.
func (fl *flight) toSend(name []byte) upstream.Question {
	return upstream.Question{
		Name: name, Type: fl.typ, Class: fl.class, Flags: fl.flags, DO: fl.do, Options: fl.tags, Client: fl.from,
	}
}

// dedupWaiters is the number of waiters up to which a repeated query is recognised. With more,
// the search would take longer than a second answer.
const dedupWaiters = 64

// joinFlight adds q to the waiters of fl. The shard's lock must be held.
func (f *Forwarder) joinFlight(fl *flight, q *Query, stale bool) joinResult {
	if stale && fl.slow {
		return joinedSlow
	}
	if fl.completing && q.inner != 0 {
		return refusedTypes // otherwise, completions could wait for each other
	}
	if q.resolve == nil && len(fl.waiters) <= dedupWaiters {
		for i := range fl.waiters {
			if w := &fl.waiters[i]; w.id == q.Msg.ID && w.to == q.to && fl.equals(w, q.Msg) {
				q.to.Drop() // the client has repeated its query: one answer is enough
				return joined
			}
		}
	}
	if !f.limits.admitWaiter(fl, q.Client(), q.st.cfg.InFlight) {
		return refused
	}
	fl.addWaiter(q, true)
	if q.st.log != nil {
		q.log(Event{Kind: EventDuplicate}, nil)
	}
	return joined
}

// equals reports whether the query of w would get the same answer as m, which is a query for the
// same question.
func (fl *flight) equals(w *waiter, m *wire.Query) bool {
	q := fl.query(w)
	return q.Flags == m.Flags && q.EDNS.Present == m.EDNS.Present && q.EDNS.Size == m.EDNS.Size &&
		string(q.Name) == string(m.Name) && string(q.EDNS.ClientCookie) == string(m.EDNS.ClientCookie)
}

// addWaiter makes q wait for fl. counted is waiter.counted.
func (fl *flight) addWaiter(q *Query, counted bool) {
	m := q.Msg
	w := waiter{
		recipient: q.recipient, id: m.ID, flags: m.Flags, size: m.EDNS.Size, edns: m.EDNS.Present, nameAt: -1, since: q.now,
		counted: counted,
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

// query restores the waiter's query. It shares memory with fl.
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

// detach takes the waiters off fl, and returns a flight that has them and shares no memory with fl,
// which may end before the waiters are answered. The shard's lock must be held.
func (fl *flight) detach() *flight {
	d := &flight{
		f: fl.f, name: fl.name, nlen: fl.nlen, names: slices.Clone(fl.names), typ: fl.typ, class: fl.class, do: fl.do, private: fl.private,
		waiters: fl.waiters,
	}
	fl.waiters = nil
	return d
}

// question returns the question that was sent, which is also the key for the cache. It shares
// memory with fl.
func (fl *flight) question() wire.Query {
	q := wire.Query{Flags: fl.flags, Name: fl.name[:fl.nlen], Type: fl.typ, Class: fl.class}
	q.EDNS.Present, q.EDNS.DO = fl.do, fl.do
	return q
}

// recycle makes the flight available for another question.
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
