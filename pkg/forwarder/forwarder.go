package forwarder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Forwarder answers queries. Its methods may be called from any goroutine.
type Forwarder struct {
	base    time.Time
	set     *upstream.Set
	state   atomic.Pointer[state]
	reload  sync.Mutex // one Reload at a time
	seed    maphash.Seed
	secret  wire.CookieSecret
	shards  [flightShards]flightShard
	limit   limiter
	flights sync.Pool // *flight
	parts   sync.Pool // *Part, for those who have none
	buffers buffers
	tallies [tallyShards]tally
	serial  atomic.Uint64

	answered func(took time.Duration, reply []byte) // Config.Answered
	panics   atomic.Uint64
	logged   everyTenSeconds
	full     everyTenSeconds
	rebinds  everyTenSeconds
}

// state is one configuration and what was made of it. It never changes.
type state struct {
	cfg    Config
	cache  *answercache.Cache // nil without a cache
	local  *localIndex        // nil without local data
	filter *filter            // nil without filters
	tags   *tagger            // nil when nothing is told about clients
	log    QueryLog
	// base counts what the cache had counted at the last Clear.
	base answercache.Stats
}

var _ listener.Handler = (*Forwarder)(nil)

// New returns a forwarder that answers once its Run runs.
func New(cfg Config) (*Forwarder, error) {
	f := &Forwarder{base: time.Now().Add(-time.Hour), seed: maphash.MakeSeed(), answered: cfg.Answered}
	_, _ = rand.Read(f.secret[:]) // never fails, it aborts the program
	f.flights.New = func() any { return &flight{f: f} }
	f.parts.New = func() any { return &Part{f: f} }
	for i := range f.shards {
		f.shards[i].flights = map[uint64]*flight{}
	}
	st, err := f.newState(cfg, nil)
	if err != nil {
		return nil, err
	}
	if f.set, err = upstream.New(st.cfg.Upstream); err != nil {
		return nil, err
	}
	f.use(st)
	return f, nil
}

// newState checks cfg and makes what follows from it. The cache is old's if its
// configuration is the same.
func (f *Forwarder) newState(cfg Config, old *state) (*state, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cfg.Upstream.NewSink = func() upstream.Sink { return newSink(f) }
	cfg.Upstream.Logger = cfg.Logger
	if cfg.Log != nil {
		cfg.Upstream.OnSend = onSend
	}
	st := &state{cfg: cfg, log: cfg.Log}
	if st.local, err = newLocalIndex(&cfg.Local); err != nil {
		return nil, err
	}
	st.tags = newTagger(&cfg.Client)
	st.filter = newFilter(&cfg.Filter, cfg.Upstream.Routes)
	switch {
	case old != nil && old.cfg.Cache == cfg.Cache && reflect.DeepEqual(old.cfg.Filter, cfg.Filter):
		st.cache, st.base = old.cache, old.base
	case cfg.Cache.Entries > 0:
		st.cache = answercache.New(cfg.Cache)
	}
	return st, nil
}

func (f *Forwarder) use(st *state) {
	f.limit.max.Store(int32(st.cfg.InFlight))
	f.state.Store(st)
}

// Reload applies another configuration. Queries in flight end as they began.
// The cache stays unless its own configuration changed.
func (f *Forwarder) Reload(cfg Config) error {
	f.reload.Lock()
	defer f.reload.Unlock()
	st, err := f.newState(cfg, f.state.Load())
	if err != nil {
		return err
	}
	if err := f.set.Reload(st.cfg.Upstream); err != nil {
		return err
	}
	f.use(st)
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
	if n, ok := f.logged.allow(f.now()); ok {
		stack := debug.Stack()
		f.state.Load().cfg.Logger.Error("handling a query crashed", slog.String("error", fmt.Sprint(cause)),
			slog.String("packet", fmt.Sprintf("%x", packet[:min(len(packet), 300)])),
			slog.String("stack", string(stack[:min(len(stack), 4096)])), slog.Uint64("suppressed", n))
	}
}

// errDropped says that a query given to Resolve was no query.
var errDropped = errors.New("not a query")

// Resolve answers a query of this program itself. done is called exactly once:
// at once, or later on another goroutine. reply is valid during the call; it
// is not limited in size. An error means that there is no reply; SERVFAIL and
// the like are replies. query is not kept.
func (f *Forwarder) Resolve(query []byte, done func(reply []byte, err error)) {
	st := f.state.Load()
	buf := f.buffers.get()
	defer f.buffers.put(buf)
	var q wire.Query
	if v := wire.ParseQuery(query, &q); v != wire.Accept {
		done(nil, errDropped)
		return
	}
	a := asker{resolve: done}
	p := f.parts.Get().(*Part)
	out := f.answer(st, &q, &a, (*buf)[:0], &cacheKey{key: p.key[:0], now: f.now()})
	f.parts.Put(p)
	if len(out) > 0 {
		done(out, nil)
	}
	f.set.Flush()
}

// everyTenSeconds lets one log line through per ten seconds.
type everyTenSeconds struct {
	mu         sync.Mutex
	next       int64
	suppressed uint64
}

func (e *everyTenSeconds) allow(now int64) (suppressed uint64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now < e.next {
		e.suppressed++
		return 0, false
	}
	e.next = now + int64(10*time.Second)
	suppressed, e.suppressed = e.suppressed, 0
	return suppressed, true
}
