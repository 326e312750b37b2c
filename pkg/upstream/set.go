package upstream

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Set is the servers of one configuration and the exchanges with them. Its
// methods may be called from any goroutine.
type Set struct {
	base  time.Time
	cfg   atomic.Pointer[Config]
	table atomic.Pointer[Table]

	reload  sync.Mutex // one Reload at a time; guards servers
	servers map[Server]*server
	order   []*server

	pollers    []*poller
	registries []registry
	exchanges  sync.Pool // *exchange
	outboxes   sync.Pool // *outbox
	workers    sync.Pool // *worker, for goroutines that are not the set's

	queueMu  sync.Mutex
	queue    []*socket // with something to send; each with a reference
	spare    []*socket
	inQueue  atomic.Int32
	sockLogs limiter

	wake     chan struct{} // the ticker is wanted
	ticking  atomic.Bool
	dials    chan *stream // connections to be made
	tcpOpen  atomic.Int32 // attempts over TCP that wait
	tcpConns atomic.Int32 // connections
	tcpDials atomic.Uint64
	wrong    atomic.Uint64
	tcpSum   atomic.Uint64
	tcpLimit atomic.Uint64
	inFlight atomic.Int64
	running  atomic.Bool
	closed   atomic.Bool
}

// New returns a set. Exchanges work once Run runs; a set that is never run has
// to be closed.
func New(cfg Config) (*Set, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	cores := runtime.GOMAXPROCS(0)
	s := &Set{
		base:       time.Now().Add(-time.Hour), // so that no time is 0 or near it
		servers:    map[Server]*server{},
		registries: make([]registry, max(8, cores)),
		wake:       make(chan struct{}, 1),
		dials:      make(chan *stream, cfg.TCPExchanges),
	}
	s.exchanges.New = func() any { return &exchange{set: s} }
	s.outboxes.New = func() any { return newOutbox() }
	s.workers.New = func() any { return s.newWorker() }
	for range min(cores, 4) {
		p, err := newPoller()
		if err != nil {
			s.Close()
			return nil, err
		}
		s.pollers = append(s.pollers, p)
	}
	s.apply(cfg)
	return s, nil
}

// Reload replaces the configuration. Questions in flight end with the servers
// that they have; servers that stay keep their health and sockets.
func (s *Set) Reload(cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.closed.Load() {
		return ErrClosed
	}
	before := s.cfg.Load().DetectLoops
	asked := s.Table().forAll()
	s.apply(cfg)
	if s.running.Load() && (!before || !slices.Equal(asked, s.Table().forAll())) {
		s.probeLoops()
	}
	return nil
}

func (s *Set) apply(cfg Config) {
	s.cfg.Store(&cfg)
	kept := map[Server]*server{}
	s.order = nil
	get := func(spec Server) *server {
		srv := kept[spec]
		if srv == nil {
			if srv = s.servers[spec]; srv == nil {
				srv = &server{spec: spec, log: cfg.Logger}
			}
			kept[spec] = srv
			s.order = append(s.order, srv)
		}
		return srv
	}
	s.table.Store(newTable(cfg.Routes, func(domain string, specs []Server) *Group {
		g := &Group{domain: domain}
		for _, spec := range specs {
			g.servers = append(g.servers, get(spec))
		}
		g.exploredAt.Store(s.now())
		return g
	}))
	for spec, srv := range s.servers {
		if kept[spec] == nil {
			srv.close()
		}
	}
	s.servers = kept
}

// Table returns the routes that hold now.
func (s *Set) Table() *Table { return s.table.Load() }

// now is nanoseconds that only grow.
func (s *Set) now() int64 { return int64(time.Since(s.base)) }

// Send asks the servers of g. owner is told the end. If slowAfter is not 0,
// owner is told once when that time has passed without an end. What is to be
// sent waits for Flush. q is not kept.
func (s *Set) Send(g *Group, q *Question, slowAfter time.Duration, owner Owner) {
	now := s.now()
	s.launch(g, nil, q, now, int64(slowAfter), owner)
	if len(g.servers) > 1 {
		s.measure(g, q, now)
	}
}

// measure asks servers beside the one that was chosen, to know how they are.
func (s *Set) measure(g *Group, q *Question, now int64) {
	explore := s.cfg.Load().Strategy == Fastest && g.measured() && g.wantsExplore(now)
	for _, srv := range g.servers {
		if srv.wantsProbe(now) || explore && srv.rank() < 3 {
			s.launch(g, srv, q, now, 0, nil)
		}
	}
}

func (s *Set) launch(g *Group, only *server, q *Question, now, slowAfter int64, owner Owner) {
	ex := s.exchanges.Get().(*exchange)
	ex.group, ex.owner = g, owner
	ex.nlen = copy(ex.name[:], q.Name)
	ex.typ, ex.class, ex.flags, ex.do = q.Type, q.Class, q.Flags, q.DO
	ex.options = append(ex.options[:0], q.Options...)
	ex.started = now
	ex.deadline = now + int64(s.cfg.Load().Timeout)
	ex.retryGap, ex.retryAt = 0, now
	if only != nil {
		ex.deadline = now + probeTimeout
	}
	if slowAfter > 0 {
		ex.slowAt = now + slowAfter
	}
	ex.due.Store(ex.deadline)
	ex.refs.Store(2) // the registry's and ours
	ex.shard = &s.registries[rand.Uint32N(uint32(len(s.registries)))]
	ex.shard.add(ex)
	s.inFlight.Add(1)
	if ex.start(now, only) || s.closed.Load() {
		w := s.workers.Get().(*worker)
		s.conclude(ex, w)
		w.flush()
		s.workers.Put(w)
	}
	ex.release()
	if !s.ticking.Load() && s.ticking.CompareAndSwap(false, true) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// conclude ends an exchange without a good reply.
func (s *Set) conclude(ex *exchange, w *worker) {
	if !ex.finish() {
		return
	}
	r := &w.result
	*r = Result{Err: ex.err, Took: time.Duration(s.now() - ex.started)}
	switch {
	case ex.bestRank > 0 && wire.ParseReply(ex.best, &w.reply):
		r.Reply, r.Server, r.Err = &w.reply, ex.bestServer, nil
	case s.closed.Load():
		r.Err = ErrClosed
	case r.Err == nil:
		r.Err = ErrTimeout
	}
	s.tell(ex, w)
}

// tell informs the owner of w.result and gives the registry's reference up.
func (s *Set) tell(ex *exchange, w *worker) {
	s.inFlight.Add(-1)
	if ex.owner != nil {
		ex.owner.Done(w.sink, &w.result)
	}
	ex.release()
}

// Flush sends what Send has queued.
func (s *Set) Flush() {
	if s.inQueue.Load() == 0 {
		return
	}
	w := s.workers.Get().(*worker)
	w.flush()
	s.workers.Put(w)
}

// enqueue writes an attempt's message into its socket's queue. The exchange's
// lock is held.
func (s *Set) enqueue(a *attempt) {
	ex, sock := a.ex, a.sock
	var opt *wire.OPT
	if a.edns {
		opt = &wire.OPT{Size: s.cfg.Load().Payload, DO: ex.do}
		ex.addOptions(opt)
	}
	sock.outMu.Lock()
	if sock.out == nil {
		sock.out = s.outboxes.Get().(*outbox)
	}
	out := sock.out
	msg := wire.AppendQuery(out.space(), a.id, ex.flags, ex.name[:ex.nlen], ex.typ, ex.class, opt)
	if a.mixed {
		mixCase(msg[wire.HeaderLen:wire.HeaderLen+ex.nlen], a.mix)
	}
	full := out.put(msg)
	if full {
		// Errors come back through the reader.
		_ = out.send(sock.fd)
		out.reset()
	}
	add := !full && !sock.queued
	if add {
		sock.queued = true
		sock.refs.Add(1)
	}
	sock.outMu.Unlock()
	if add {
		s.queueMu.Lock()
		s.queue = append(s.queue, sock)
		s.inQueue.Store(int32(len(s.queue)))
		s.queueMu.Unlock()
	}
}

// flushQueue sends everything that is queued.
func (s *Set) flushQueue(w *worker) {
	for s.inQueue.Load() != 0 {
		s.queueMu.Lock()
		list := s.queue
		s.queue, s.spare = s.spare[:0], nil
		s.inQueue.Store(0)
		s.queueMu.Unlock()
		for i, sock := range list {
			list[i] = nil
			sock.outMu.Lock()
			out := sock.out
			sock.out, sock.queued = nil, false
			sock.outMu.Unlock()
			if out != nil {
				errno := out.send(sock.fd)
				out.reset()
				s.outboxes.Put(out)
				if errno != 0 {
					s.socketFailed(sock, errno, w)
				}
			}
			sock.release()
		}
		s.queueMu.Lock()
		s.spare = list[:0]
		s.queueMu.Unlock()
	}
}

// Stats returns the counters as they are now.
func (s *Set) Stats() Stats {
	st := Stats{
		WrongReplies: s.wrong.Load(), TCPExchanges: s.tcpSum.Load(), TCPRefused: s.tcpLimit.Load(),
		TCPDials: s.tcpDials.Load(), TCPConns: int(s.tcpConns.Load()), InFlight: int(s.inFlight.Load()),
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	for _, srv := range s.order {
		st.Servers = append(st.Servers, srv.statsNow())
	}
	return st
}

// GroupServers returns the addresses of a group's servers.
func (g *Group) GroupServers() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(g.servers))
	for i, s := range g.servers {
		addrs[i] = s.spec.Addr
	}
	return addrs
}

// socketLog reports that a socket could not be used, now and then.
func (s *Set) socketLog(srv *server, err error) {
	if errors.Is(err, errPoolClosed) {
		return
	}
	if n, ok := s.sockLogs.allow(s.now()); ok {
		s.cfg.Load().Logger.Warn("cannot ask server", slog.String("server", srv.spec.Addr.String()),
			slog.Any("error", err), slog.Uint64("suppressed", n))
	}
}

// limiter lets one event through every ten seconds.
type limiter struct {
	mu         sync.Mutex
	next       int64
	suppressed uint64
}

func (l *limiter) allow(now int64) (suppressed uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now < l.next {
		l.suppressed++
		return 0, false
	}
	l.next = now + int64(10*time.Second)
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}

// Run exchanges messages until ctx is cancelled. It then ends what is in
// flight with ErrClosed, and returns nil when all its goroutines have ended. It
// must be called at most once.
func (s *Set) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, p := range s.pollers {
		r := &reader{set: s, poller: p, in: newInbox(int(s.cfg.Load().Payload)), worker: *s.newWorker()}
		wg.Go(r.run)
	}
	wg.Go(func() { s.runTicker(ctx) })
	wg.Go(func() { s.runTCP(ctx, &wg) })
	s.running.Store(true)
	s.probeLoops()
	<-ctx.Done()
	s.Close()
	wg.Wait()
	return nil
}

// Close ends what is in flight with ErrClosed and closes all sockets. Send ends
// at once afterwards. Run calls it.
func (s *Set) Close() {
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.closed.Swap(true) {
		return
	}
	for _, srv := range s.servers {
		srv.close()
	}
	w := s.newWorker()
	var list []*exchange
	for i := range s.registries {
		list = s.registries[i].dueBefore(1<<62, list)
	}
	for _, ex := range list {
		s.conclude(ex, w)
		ex.release()
	}
	w.flush()
	for _, p := range s.pollers {
		_ = p.file.Close()
	}
}
