package forwarder

import (
	"context"
	"crypto/rand"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/internal/panics"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Forwarder answers queries. Its methods are safe for concurrent use, and so are its fields
// unless noted otherwise.
type Forwarder struct {
	base      time.Time                    // the zero of now; does not change
	set       *upstream.Set                // asks upstream servers; does not change
	state     atomic.Pointer[snapshot]     // the current configuration
	reload    sync.Mutex                   // held while state or remote is replaced
	seed      maphash.Seed                 // for hashes of questions and clients; does not change
	secret    wire.CookieSecret            // the key of cookies for clients; does not change
	shards    [flightShards]flightShard    // the questions in flight
	limits    limits                       // limits the questions in flight
	sinks     sync.Pool                    // of *answerSink, for makeRoom
	flights   sync.Pool                    // of *flight
	parts     sync.Pool                    // of *Part, for callers without one
	buffers   sync.Pool                    // of *[]byte with room for any message, for resolve
	tallies   [tallyShards]tally           // the counters of Stats
	nextTally atomic.Uint32                // number of the tally of the next Part
	serial    atomic.Uint64                // number of the last query in the query log
	remote    atomic.Pointer[remoteRoutes] // the routes of upstream servers; never nil
	follow    follower                     // reads the routes of upstream servers
	purged    atomic.Uint64                // entries removed by purge
	origins   origins                      // the servers whose replies are stored
	// completions is what completes names.
	completions completer

	answered  func(took time.Duration, reply []byte) // Config.Answered; does not change
	answerLog *answerlog.Log                         // Config.Answers; does not change
	panics    panics.Log                             // the panics recovered from
	madeRoom  atomic.Uint64                          // questions answered early by makeRoom
	full      lograte.Limiter                        // limits calls of Config.OnOverLimit
}

// snapshot is one configuration and what follows from it. It never changes; a change
// publishes a new one.
type snapshot struct {
	// cfg is the configuration with defaults.
	cfg Config
	// cache is nil if there is no cache.
	cache *answercache.Cache
	// log is Config.Log.
	log QueryLog
	// base holds the counters of the cache at the last Clear.
	base answercache.Stats
	// The hooks of the stages, in their order. Most configurations have no ignore.
	query  []func(*Query) bool
	hit    []func(*Query, []byte, int) ([]byte, wire.ExtendedError) // the Hit hooks
	miss   []func(*Query, upstream.Decision) bool                   // the Miss hooks
	reply  []func(*Reply) bool                                      // the Reply hooks
	ignore []func(*wire.Reply) bool                                 // the Ignore hooks
	// complete holds the Complete hooks.
	complete []func(name []byte, r *wire.Reply, now int64) bool
}

// servesStale reports whether clients get expired answers when servers fail or are slow (RFC
// 8767).
func (st *snapshot) servesStale() bool { return st.cfg.Cache.StaleFor > 0 && !st.cfg.StaleAtOnce }

var _ listener.Splitter = (*Forwarder)(nil)

// New returns a forwarder. It gets replies from upstream servers only while Run runs; if Run is
// never called, the caller must call Close. It returns an error if Config.Upstream is not
// valid.
func New(cfg Config) (*Forwarder, error) {
	f := &Forwarder{base: time.Now().Add(-time.Hour), seed: maphash.MakeSeed(), answered: cfg.Answered, answerLog: cfg.Answers}
	_, _ = rand.Read(f.secret[:]) // never returns an error
	f.remote.Store(&remoteRoutes{})
	f.follow.init(f)
	f.flights.New = func() any { return &flight{f: f} }
	f.sinks.New = func() any { return newSink(f) }
	f.parts.New = func() any { return f.newPart() }
	f.buffers.New = func() any { return new(make([]byte, 0, wire.MaxMessage)) }
	for i := range f.shards {
		f.shards[i].flights = map[uint64]*flight{}
	}
	st := f.newState(cfg, nil)
	var err error
	if f.set, err = upstream.New(st.cfg.Upstream); err != nil {
		return nil, err
	}
	st.cfg.Upstream.Routes = nil // f.set has them in its own form
	f.state.Store(st)
	return f, nil
}

// newState returns the snapshot for cfg. It keeps old's cache if the cache's configuration is
// the same.
func (f *Forwarder) newState(cfg Config, old *snapshot) *snapshot {
	cfg = cfg.withDefaults()
	cfg.Upstream.NewSink = func() upstream.Sink { return newSink(f) }
	cfg.Upstream.Logger = cfg.Logger
	st := &snapshot{cfg: cfg, log: cfg.Log}
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
		if stage.Complete != nil {
			st.complete = append(st.complete, stage.Complete)
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

// Reload applies another configuration. Cache entries whose names now have other servers are
// removed, and all entries if the cache's own configuration changes. Questions in flight whose
// names have other servers are asked again. Call Clear afterwards if the stages now judge
// replies differently. After an error, the previous configuration stays in effect.
func (f *Forwarder) Reload(cfg Config) error {
	f.reload.Lock()
	defer f.reload.Unlock()
	st := f.newState(cfg, f.state.Load())
	old := f.routing()
	if err := f.set.Reload(st.cfg.Upstream); err != nil {
		return err
	}
	st.cfg.Upstream.Routes = nil // f.set has them in its own form
	f.state.Store(st)
	f.purge(st, old)
	return nil
}

// Clear empties the cache and resets the counts of insertions and evictions, as dnsmasq does
// on SIGHUP.
func (f *Forwarder) Clear() {
	f.reload.Lock()
	defer f.reload.Unlock()
	st := *f.state.Load()
	st.cache.Clear()
	st.base = st.cache.Stats()
	f.state.Store(&st)
}

// WouldAsk returns which servers would be asked about a canonical wire name, according to the
// current routing table. It sends nothing.
func (f *Forwarder) WouldAsk(name []byte, qtype uint16) upstream.Decision {
	return f.set.Table().Lookup(name, qtype)
}

// Run exchanges messages with upstream servers until ctx ends.
func (f *Forwarder) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.set.Run(ctx) })
	group.Go(func() error { f.follow.run(ctx); return nil })
	return group.Wait()
}

// Close releases the resources of a forwarder whose Run is never called.
func (f *Forwarder) Close() { f.set.Close() }

// now returns the time for the cache: nanoseconds of a monotonic clock.
func (f *Forwarder) now() int64 { return int64(time.Since(f.base)) }

// Handle implements listener.Handler, for callers without a [Part]. If it panics, the answer is
// SERVFAIL.
func (f *Forwarder) Handle(packet []byte, to listener.ReplyTo, reply []byte) (out []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			f.crashed(cause, packet)
			out = OnPanic(packet, to, reply)
		}
	}()
	p := f.parts.Get().(*Part) // not returned to the pool after a panic
	out = p.Handle(packet, to, reply)
	p.end()
	p.q.clear()
	f.parts.Put(p)
	return out
}

// Flush sends the questions that Handle left waiting, so that those of a batch of packets are sent
// together.
func (f *Forwarder) Flush() { f.set.Flush() }

// OnPanic answers SERVFAIL to a packet for which a [Part] panicked. It is for
// listener.Config.OnPanic.
func OnPanic(packet []byte, _ listener.ReplyTo, reply []byte) []byte {
	var q wire.Query
	if wire.ParseQuery(packet, &q) == wire.Drop {
		return nil
	}
	return wire.AppendError(reply, &q, wire.RcodeServFail, wire.OPT{})
}

// recovered counts and logs a panic, if there is one. Call it with defer.
func (f *Forwarder) recovered(packet []byte) {
	if cause := recover(); cause != nil {
		f.crashed(cause, packet)
	}
}

// crashed counts and logs a panic.
func (f *Forwarder) crashed(cause any, packet []byte) {
	logger := f.state.Load().cfg.Logger
	f.panics.Error("recovered from a panic while handling a query", logger, cause, packet)
}

// Resolve answers a question of this program itself. question must have Name, Type, Class
// (IN), Flags (RD, AD, CD) and EDNS.DO; Resolve does not keep it. done is called exactly once:
// either before Resolve returns, or later on another goroutine. reply is valid during the call,
// and is not limited in size. An error means that there is no reply; SERVFAIL and the like are
// replies.
func (f *Forwarder) Resolve(question *wire.Query, done func(reply *wire.Reply, err error)) {
	f.resolve(&recipient{resolve: done}, question)
	f.set.Flush()
}

// resolve asks a question on behalf of who and passes the answer to who.resolve, now or later.
func (f *Forwarder) resolve(who *recipient, question *wire.Query) {
	buf := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(buf)
	if out := f.ask(who, question, (*buf)[:0]); len(out) > 0 {
		var reply wire.Reply
		if wire.ParseReply(out, &reply) {
			who.resolve(&reply, nil)
		} else {
			who.resolve(nil, upstream.ErrMalformed)
		}
	}
}

// CookieSecret returns the key of the cookies for clients, for other servers that answer at the
// same address.
func (f *Forwarder) CookieSecret() wire.CookieSecret { return f.secret }

// wall returns the time in seconds since 1970.
func (f *Forwarder) wall() int64 { return f.base.Unix() + f.now()/1e9 }
