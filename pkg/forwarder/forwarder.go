package forwarder

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Forwarder answers queries. Its methods may be called from any goroutine.
type Forwarder struct {
	base      time.Time
	set       *upstream.Set
	state     atomic.Pointer[state]
	reload    sync.Mutex // one Reload at a time
	seed      maphash.Seed
	secret    wire.CookieSecret
	shards    [flightShards]flightShard
	limits    atomic.Pointer[map[string]*limiter] // by domain of the servers; replaced whole
	limitMu   sync.Mutex                          // guards replacing limits
	sinks     sync.Pool                           // *sink, for makeRoom
	flights   sync.Pool                           // *flight
	parts     sync.Pool                           // *Part, for those who have none
	buffers   buffers
	tallies   [tallyShards]tally
	nextTally atomic.Uint32 // of the next Part
	serial    atomic.Uint64
	remote    atomic.Pointer[remoteRoutes] // never nil; changed under reload
	follow    follower
	purged    atomic.Uint64

	answered func(took time.Duration, reply []byte) // Config.Answered
	panics   atomic.Uint64
	madeRoom atomic.Uint64
	logged   lograte.Limiter
	full     lograte.Limiter
}

// state is one configuration and what was made of it. It never changes.
type state struct {
	cfg   Config
	cache *answercache.Cache // nil without a cache
	log   QueryLog           // Config.Log
	// base counts what the cache had counted at the last Clear.
	base answercache.Stats
	// The hooks of the stages, in their order.
	query []func(*Query) bool
	hit   []func(*Query, []byte, int) ([]byte, wire.ExtendedError)
	miss  []func(*Query, upstream.Decision) bool
	reply []func(*Reply) bool
	// ignore is nil in most configurations.
	ignore []func(*wire.Reply) bool
}

// servesStale reports whether expired answers are given when servers fail or
// are slow, RFC 8767.
func (st *state) servesStale() bool { return st.cfg.Cache.StaleFor > 0 && !st.cfg.StaleAtOnce }

var _ listener.Handler = (*Forwarder)(nil)

// New returns a forwarder that answers once its Run runs.
func New(cfg Config) (*Forwarder, error) {
	f := &Forwarder{base: time.Now().Add(-time.Hour), seed: maphash.MakeSeed(), answered: cfg.Answered}
	_, _ = rand.Read(f.secret[:]) // never fails, it aborts the program
	f.remote.Store(&remoteRoutes{})
	f.follow.init(f)
	f.flights.New = func() any { return &flight{f: f} }
	f.sinks.New = func() any { return newSink(f) }
	f.limits.Store(&map[string]*limiter{})
	f.parts.New = func() any { return f.newPart() }
	for i := range f.shards {
		f.shards[i].flights = map[uint64]*flight{}
	}
	st := f.newState(cfg, nil)
	var err error
	if f.set, err = upstream.New(st.cfg.Upstream); err != nil {
		return nil, err
	}
	f.use(st)
	return f, nil
}

// newState makes what follows from cfg. The cache is old's if its
// configuration is the same.
func (f *Forwarder) newState(cfg Config, old *state) *state {
	cfg = cfg.withDefaults()
	cfg.Upstream.NewSink = func() upstream.Sink { return newSink(f) }
	cfg.Upstream.Logger = cfg.Logger
	if cfg.Log != nil {
		cfg.Upstream.OnSend = onSend
	}
	st := &state{cfg: cfg, log: cfg.Log}
	for _, stage := range cfg.Stages {
		if stage.Query != nil {
			st.query = append(st.query, stage.Query)
		}
		if stage.Hit != nil {
			st.hit = append(st.hit, stage.Hit)
		}
		if stage.Miss != nil {
			st.miss = append(st.miss, stage.Miss)
		}
		if stage.Ignore != nil {
			st.ignore = append(st.ignore, stage.Ignore)
		}
		if stage.Reply != nil {
			st.reply = append(st.reply, stage.Reply)
		}
	}
	switch {
	case old != nil && old.cfg.Cache == cfg.Cache:
		st.cache, st.base = old.cache, old.base
	case cfg.Cache.Entries > 0:
		st.cache = answercache.New(cfg.Cache)
	}
	return st
}

func (f *Forwarder) use(st *state) {
	f.state.Store(st)
	f.setLimits(st.cfg.InFlight)
}

// Reload applies another configuration. Of the cache those entries stay whose
// names have the servers that they had, unless the cache's own configuration
// changed. Questions in flight whose names have other servers now are asked
// anew. Call Clear if stages judge replies differently now.
func (f *Forwarder) Reload(cfg Config) error {
	f.reload.Lock()
	defer f.reload.Unlock()
	st := f.newState(cfg, f.state.Load())
	old := f.routing()
	if err := f.set.Reload(st.cfg.Upstream); err != nil {
		return err
	}
	f.use(st)
	f.purge(st, old)
	return nil
}

// Clear empties the cache and zeroes the counts of insertions and evictions, as
// dnsmasq does on SIGHUP.
func (f *Forwarder) Clear() {
	f.reload.Lock()
	defer f.reload.Unlock()
	st := *f.state.Load()
	st.cache.Clear()
	st.base = st.cache.Stats()
	f.state.Store(&st)
}

// Run exchanges messages with other servers until ctx is cancelled.
func (f *Forwarder) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.set.Run(ctx) })
	group.Go(func() error { f.follow.run(ctx); return nil })
	return group.Wait()
}

// Close frees what New made, for a forwarder whose Run is never called.
func (f *Forwarder) Close() { f.set.Close() }

// now is nanoseconds that only grow, for the cache.
func (f *Forwarder) now() int64 { return int64(time.Since(f.base)) }

// Handle implements listener.Handler.
func (f *Forwarder) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	out := f.handleSafely(packet, to, reply)
	f.set.Flush()
	return out
}

// handleSafely answers SERVFAIL where handle crashes.
func (f *Forwarder) handleSafely(packet []byte, to listener.ReplyTo, reply []byte) (out []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			f.crashed(cause, packet)
			out = OnPanic(packet, to, reply)
		}
	}()
	p := f.parts.Get().(*Part) // dropped if it crashes
	out = p.Handle(packet, to, reply)
	p.end()
	p.q.clear()
	f.parts.Put(p)
	return out
}

// OnPanic answers SERVFAIL to a packet that crashed a [Part], as
// listener.Config.OnPanic wants it.
func OnPanic(packet []byte, _ listener.ReplyTo, reply []byte) []byte {
	var q wire.Query
	if wire.ParseQuery(packet, &q) == wire.Drop {
		return nil
	}
	return wire.AppendError(reply, &q, wire.RcodeServFail, wire.OPT{})
}

// crashed counts and logs a panic.
func (f *Forwarder) crashed(cause any, packet []byte) {
	f.panics.Add(1)
	if n, ok := f.logged.Allow(f.now()); ok {
		stack := debug.Stack()
		f.state.Load().cfg.Logger.Error("handling a query crashed", slog.String("error", fmt.Sprint(cause)),
			slog.String("packet", fmt.Sprintf("%x", packet[:min(len(packet), 300)])),
			slog.String("stack", string(stack[:min(len(stack), 4096)])), slog.Uint64("suppressed", n))
	}
}

// Resolve answers a question of this program itself: q holds Name, Type, Class
// (IN), Flags (RD, AD, CD) and EDNS.DO, and is not kept. done is called exactly
// once: at once, or later on another goroutine. reply is valid during the call;
// it is not limited in size. An error means that there is no reply; SERVFAIL
// and the like are replies.
func (f *Forwarder) Resolve(question *wire.Query, done func(reply *wire.Reply, err error)) {
	buf := f.buffers.get()
	defer f.buffers.put(buf)
	p := f.parts.Get().(*Part)
	q := &p.q
	q.clear()
	q.f, q.st, q.part = f, f.state.Load(), nil
	q.resolve, q.Msg, q.key, q.now, q.reply = done, question, p.key[:0], f.now(), (*buf)[:0]
	q.answer()
	if len(q.out) > 0 {
		var reply wire.Reply
		if wire.ParseReply(q.out, &reply) {
			done(&reply, nil)
		} else {
			done(nil, upstream.ErrMalformed)
		}
	}
	q.clear()
	f.parts.Put(p)
	f.set.Flush()
}

// CookieSecret returns the key of the cookies that f gives, for others that
// answer for the same address.
func (f *Forwarder) CookieSecret() wire.CookieSecret { return f.secret }

// wall is the time in seconds since 1970.
func (f *Forwarder) wall() int64 { return f.base.Unix() + f.now()/1e9 }
