package forwarder

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Trace describes how one query was answered.
type Trace struct {
	// Source says where the answer came from. While the answer is awaited, it is
	// SourceUpstream.
	Source Source
	// Stage is the name of the stage that answered, or "" if none did. Rule is the argument of
	// its call of [Query.Because], and LocalSource that of its call of [Query.Answer].
	Stage, Rule, LocalSource string
	// Changed holds the names of the stages that changed the cached answer.
	Changed []string
}

// Tracer handles one query as the forwarder does, and records what decided the answer. It is
// slower than the forwarder, whose own path does not change. Use [Forwarder.Tracer] to make one
// for each query.
type Tracer struct {
	f     *Forwarder
	trace Trace
}

// Tracer returns a tracer for one query.
func (f *Forwarder) Tracer() *Tracer { return &Tracer{f: f, trace: Trace{Source: SourceUpstream}} }

// Trace returns what has decided the answer so far. Call it after Handle.
func (t *Tracer) Trace() Trace { return t.trace }

// Flush sends the question that Handle left waiting.
func (t *Tracer) Flush() { t.f.set.Flush() }

// Handle implements listener.Handler.
func (t *Tracer) Handle(packet []byte, to listener.ReplyTo, reply []byte) (out []byte) {
	f := t.f
	defer func() {
		if cause := recover(); cause != nil {
			f.crashed(cause, packet)
			out = OnPanic(packet, to, reply)
		}
	}()
	p := f.newPart()
	out = p.handlePacket(t.watched(f.state.Load()), packet, to, reply)
	p.end()
	if len(out) > 0 {
		t.trace.Source, t.trace.Rule = p.q.source, p.q.rule
	}
	return out
}

// watched returns a copy of st with hooks and a query log that fill the trace.
func (t *Tracer) watched(st *snapshot) *snapshot {
	own := *st
	own.log = tracedLog{t, st.log}
	own.query, own.miss, own.hit = nil, nil, nil
	for _, stage := range st.cfg.Stages {
		if hook := stage.Query; hook != nil {
			own.query = append(own.query, func(q *Query) bool { return t.decided(q, stage.Name, hook(q)) })
		}
		if hook := stage.Miss; hook != nil {
			own.miss = append(own.miss, func(q *Query, d upstream.Decision) bool { return t.decided(q, stage.Name, hook(q, d)) })
		}
		if hook := stage.Hit; hook != nil {
			own.hit = append(own.hit, func(q *Query, msg []byte, base int) ([]byte, wire.ExtendedError) {
				out, why := hook(q, msg, base)
				if why.Present {
					t.trace.Changed = append(t.trace.Changed, stage.Name)
				}
				return out, why
			})
		}
	}
	return &own
}

// decided records that the stage called name has answered or, if it has not, drops its rule.
func (t *Tracer) decided(q *Query, name string, answered bool) bool {
	if answered {
		t.trace.Stage = name
	} else {
		q.rule = ""
	}
	return answered
}

// tracedLog records the source of local data, and passes events to the next log.
type tracedLog struct {
	t    *Tracer
	next QueryLog // may be nil
}

// Log implements [QueryLog].
func (l tracedLog) Log(e *Event) {
	if e.Kind == EventLocal {
		l.t.trace.LocalSource = e.Source
	}
	if l.next != nil {
		l.next.Log(e)
	}
}

// Because records which rule of a stage answers the query, such as the name of an option, for
// [Tracer]. It costs almost nothing.
func (q *Query) Because(rule string) { q.rule = rule }

// Found is a cache entry.
type Found struct {
	answercache.Item
	// Age is the time since the entry was stored, and Left the time until it expires. Left is
	// negative if the entry has expired.
	Age, Left time.Duration
	// From is the server that sent the reply. It is not valid if there was no reply, or if the
	// server is no longer known.
	From netip.AddrPort
	// Stale means that the entry has expired, but may be given to clients (RFC 8767).
	Stale bool
}

// Cached returns the cache entries that a query about a canonical wire name in class IN would
// find, with do as its DO bit, without changing anything. An entry that has expired and may not
// be used as a stale answer is left out.
func (f *Forwarder) Cached(name []byte, qtype uint16, do bool) []Found {
	q := wire.Query{Flags: wire.FlagRD, Name: name, Type: qtype, Class: wire.ClassIN}
	q.EDNS.Present, q.EDNS.DO = do, do
	now, st := f.now(), f.state.Load()
	var list []Found
	for _, item := range st.cache.Find(&q, now) {
		if !item.Dead {
			list = append(list, Found{
				Item: item, Age: time.Duration(now - item.Stored), Left: time.Duration(item.Expires - now),
				From: f.origins.server(item.Origin), Stale: now >= item.Expires && !item.Failure,
			})
		}
	}
	return list
}

// Caches reports whether there is a cache, and whether it gives expired answers.
func (f *Forwarder) Caches() (entries bool, stale bool) {
	st := f.state.Load()
	return st.cache != nil, st.cache != nil && st.cfg.Cache.StaleFor > 0
}

// maxOrigins is the largest number of servers that are remembered as origins of entries. After
// thousands of changes of the configuration, further servers are not remembered, and their
// entries have no origin.
const maxOrigins = 1024

// origins numbers the servers whose replies are stored, from 1. The zero value is ready.
type origins struct {
	list atomic.Pointer[[]netip.AddrPort] // never changes; nil if there are none
	mu   sync.Mutex                       // held while list is replaced
}

// number returns the number of a server, and assigns one if it has none yet. It returns 0 for
// an address that is not valid, and when maxOrigins servers have numbers.
func (o *origins) number(server netip.AddrPort) uint32 {
	if !server.IsValid() {
		return 0
	}
	if n := numberIn(o.list.Load(), server); n > 0 {
		return n
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	old := o.list.Load()
	if n := numberIn(old, server); n > 0 {
		return n
	}
	var next []netip.AddrPort
	if old != nil {
		next = slices.Clone(*old)
	}
	if len(next) >= maxOrigins {
		return 0
	}
	next = append(next, server)
	o.list.Store(&next)
	return uint32(len(next))
}

func numberIn(list *[]netip.AddrPort, server netip.AddrPort) uint32 {
	if list == nil {
		return 0
	}
	return uint32(slices.Index(*list, server) + 1)
}

// server returns the server with a number. It is not valid for 0.
func (o *origins) server(number uint32) netip.AddrPort {
	if list := o.list.Load(); list != nil && number > 0 && int(number) <= len(*list) {
		return (*list)[number-1]
	}
	return netip.AddrPort{}
}
