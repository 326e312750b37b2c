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

// Trace is how one query was answered.
type Trace struct {
	// Source says where the answer came from. It is SourceUpstream also while the answer is
	// awaited.
	Source Source
	// Stage is the name of the stage that answered, or "" if none did. Rule is what it said to
	// [Query.Because], and LocalSource what it said to [Query.Answer].
	Stage, Rule, LocalSource string
	// Changed names the stages that changed the cached answer.
	Changed []string
}

// Tracer handles single queries as the forwarder does, and tells what decided. It is slower
// than the forwarder, whose path it leaves alone. Use [Forwarder.Tracer] for each query.
type Tracer struct {
	f     *Forwarder
	trace Trace
}

// Tracer returns a tracer for one query.
func (f *Forwarder) Tracer() *Tracer { return &Tracer{f: f, trace: Trace{Source: SourceUpstream}} }

// Trace returns what decided, as far as Handle has answered.
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
	st := t.watched(f.state.Load())
	p := f.newPart()
	p.now, p.logs = f.now(), f.answerLog.On()
	q := &p.q
	q.f, q.st, q.part, q.to, q.now, q.reply = f, st, p, to, p.now, reply
	q.Msg, q.key = &p.msg, p.key[:0]
	q.handleVerdict(wire.ParseQuery(packet, &p.msg))
	p.count()
	p.end()
	if out = q.out; len(out) > 0 {
		t.trace.Source, t.trace.Rule = q.source, q.rule
	}
	return out
}

// watched returns st with hooks and a query log that fill the trace.
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

// decided notes which stage answered, and forgets the rule of one that did not.
func (t *Tracer) decided(q *Query, name string, answered bool) bool {
	if answered {
		t.trace.Stage = name
	} else {
		q.rule = ""
	}
	return answered
}

// tracedLog notes the source of local data, and passes events on.
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

// Because says which rule of a stage answers the query, such as the name of an option, for
// [Tracer]. It costs nothing worth counting.
func (q *Query) Because(rule string) { q.rule = rule }

// Found is a cache entry.
type Found struct {
	answercache.Item
	// Age is the time since it was stored, Left the time until it expires; negative if it has.
	Age, Left time.Duration
	// From is the server whose reply it is; not valid if there was none, or it is not known
	// any more.
	From netip.AddrPort
	// Stale says that it has expired, but may be given to clients (RFC 8767).
	Stale bool
}

// Cached returns the cache entries that a query about a canonical wire name in class IN would
// find, with do as its DO bit, and changes nothing. An entry whose time is over and that may
// not be used as a stale answer is left out.
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

// maxOrigins bounds the servers that entries can be told to come from. Those of later ones,
// after thousands of changes of the configuration, come from nobody.
const maxOrigins = 1024

// origins numbers the servers whose replies are stored, from 1. The zero value is ready.
type origins struct {
	list atomic.Pointer[[]netip.AddrPort] // never changes; nil if there are none
	mu   sync.Mutex                       // held while list is replaced
}

// number returns the number of a server, 0 for none.
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

// server returns the server with a number; not valid for 0.
func (o *origins) server(number uint32) netip.AddrPort {
	if list := o.list.Load(); list != nil && number > 0 && int(number) <= len(*list) {
		return (*list)[number-1]
	}
	return netip.AddrPort{}
}
