package upstream

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/internal/panics"
	"github.com/kube-dns/kube-dns/pkg/internal/wake"
	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Set holds the servers of one configuration and the exchanges with them. Its methods are
// safe for concurrent use.
type Set struct {
	base  time.Time                // the zero of now; does not change
	seed  maphash.Seed             // of the keys of names
	cfg   atomic.Pointer[settings] // the current settings
	table atomic.Pointer[Table]    // the current routing table

	reload  sync.Mutex         // one Reload at a time; guards servers and order
	servers map[Server]*server // the servers in use
	order   []*server          // the same, in the order of the configuration

	health  sync.Mutex     // guards policy.Server and policy.Group of all, and streams
	streams policy.Streams // counts the exchanges over TCP

	udp *transport.UDP // the transport over UDP
	tcp *transport.TCP // the transport over TCP
	tls *transport.TCP // over TLS

	registries []registry      // the exchanges in flight
	exchanges  sync.Pool       // *exchange
	workers    sync.Pool       // *worker, for goroutines that are not the set's
	sockLogs   lograte.Limiter // limits the logging of socket errors
	panics     panics.Log      // the panics recovered from

	wake     chan struct{} // the ticker is wanted
	ticking  atomic.Bool   // the ticker runs
	inFlight atomic.Int64  // number of exchanges in flight
	running  atomic.Bool   // Run runs
	closed   atomic.Bool   // Close was called or Run has ended
}

// settings is the configuration in effect.
type settings struct {
	Config
	policy policy.Config
}

// New returns a set. Exchanges make progress only while Run runs. A set that is never run
// must be closed with Close.
func New(cfg Config) (*Set, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Set{
		base:       time.Now().Add(-time.Hour), // so that no time is 0 or near it
		seed:       maphash.MakeSeed(),
		servers:    map[Server]*server{},
		registries: make([]registry, max(8, runtime.GOMAXPROCS(0))),
		wake:       make(chan struct{}, 1),
	}
	s.exchanges.New = func() any { return &exchange{set: s, actions: make([]policy.Action, 0, 16)} }
	s.workers.New = func() any { return s.newWorker() }
	env := transport.Env{
		Now:     s.now,
		Acquire: func() transport.Events { return s.workers.Get().(*worker) },
		Recycle: func(ev transport.Events) { s.workers.Put(ev) },
		Crashed: s.crashed,
		Broken:  func(err error) { s.cfg.Load().Logger.Error("waiting for packets failed", "error", err) },
	}
	if s.udp, err = transport.NewUDP(env, cfg.UDPConfig); err != nil {
		return nil, err
	}
	s.tcp = transport.NewTCP(env, cfg.TCPExchanges, cfg.Timeout)
	s.tls = transport.NewTLS(env, s.trust, maxTLSDials, cfg.Timeout)
	s.apply(cfg)
	s.checkLoops()
	return s, nil
}

// Reload replaces the configuration. Questions in progress go on with the servers that they
// began with. Servers that remain keep their health and sockets. If Reload returns an error,
// the previous configuration stays in effect.
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
	before, asked := s.cfg.Load().DetectLoops, s.serversForAll()
	s.apply(cfg)
	if before != cfg.DetectLoops || !slices.Equal(asked, s.serversForAll()) {
		s.checkLoops()
		if s.running.Load() {
			s.probeLoops()
		}
	}
	return nil
}

func (s *Set) apply(cfg Config) {
	routes := cfg.Routes
	cfg.Routes = nil // the table replaces them; there may be many
	s.cfg.Store(&settings{Config: cfg, policy: policy.Config{
		Strategy: cfg.Strategy, Timeout: cfg.Timeout, FirstRetry: cfg.FirstRetry, MixCase: cfg.MixCase, Streams: &s.streams,
	}})
	s.tcp.Configure(cfg.Timeout)
	s.tls.Configure(cfg.Timeout)
	s.health.Lock()
	s.streams.Max = cfg.TCPExchanges
	s.health.Unlock()
	kept := map[Server]*server{}
	s.order = nil
	type list struct { // of servers; routes may share one
		first *Server
		size  int
	}
	crews := map[list]*crew{}
	table := route.New(routes, func(domain string, specs []Server) *Group {
		key := list{&specs[0], len(specs)}
		if c := crews[key]; c != nil {
			return &Group{c, domain}
		}
		g := &crew{servers: make([]*server, 0, len(specs))}
		crews[key] = g
		var health []*policy.Server
		for _, spec := range specs {
			srv := kept[spec]
			if srv == nil {
				srv = s.server(spec)
				kept[spec] = srv
				s.order = append(s.order, srv)
			}
			g.servers = append(g.servers, srv)
			health = append(health, &srv.health)
		}
		g.health = policy.NewGroup(health, policy.Time(s.now()), rand.Uint64())
		return &Group{g, domain}
	})
	s.udp.Configure(cfg.UDPConfig, len(kept))
	s.table.Store(table)
	for spec, srv := range s.servers {
		if kept[spec] == nil {
			srv.close()
		}
	}
	s.servers = kept
}

// server returns a server that is known already, or a new one.
func (s *Set) server(spec Server) *server {
	if srv := s.servers[spec]; srv != nil {
		return srv
	}
	srv := &server{spec: spec}
	if spec.TLS.On { // all questions go over connections: TLS, or TCP in clear text
		link := s.tls.Link(spec, func(h transport.Handshake, now int64) { s.shaken(srv, &h, now) })
		srv.links, srv.health = [...]transport.Link{policy.Usual: link, policy.Whole: link}, policy.NewSecure(rand.Float64())
	} else {
		srv.links = [...]transport.Link{policy.Usual: s.udp.Link(spec), policy.Whole: s.tcp.Link(spec, nil)}
	}
	srv.health = srv.health.Placed(policy.Role(spec.Role))
	return srv
}

// Table returns the routing table in effect. Look it up again for each question, because
// Reload replaces it.
func (s *Set) Table() *Table { return s.table.Load() }

// now returns the set's time in nanoseconds, which never goes back.
func (s *Set) now() int64 { return int64(time.Since(s.base)) }

// Send asks the servers of g. It calls owner.Done with the outcome. If slowAfter is not 0 and
// passes before that, it calls owner.Slow once. The packets to send are queued until Flush.
// Send does not keep q.
func (s *Set) Send(g *Group, q *Question, slowAfter time.Duration, owner Owner) {
	s.launch(g, q, policy.Start{SlowAfter: slowAfter}, owner)
}

// key returns a hash of a name that ignores case.
func (s *Set) key(name []byte) uint64 {
	var buf [wire.MaxName]byte
	return maphash.Bytes(s.seed, dnsname.AppendLower(buf[:0], name))
}

// clientKey returns a hash of a client's address, 0 for this program.
func (s *Set) clientKey(a netip.Addr) uint64 {
	if !a.IsValid() {
		return 0
	}
	return maphash.Comparable(s.seed, a) | 1
}

// isProxy reports whether a client asks on behalf of many others, as dnscache in the same Pod
// does. Other loopback addresses count as ordinary clients, because any program can choose
// one.
func isProxy(a netip.Addr) bool {
	a = a.Unmap()
	return a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || a == netip.IPv6Loopback()
}

// launch begins an exchange. start holds what is special about it.
func (s *Set) launch(g *Group, q *Question, start policy.Start, owner Owner) {
	now, cfg := s.now(), s.cfg.Load()
	ex := s.exchanges.Get().(*exchange)
	ex.group, ex.owner = g, owner
	n := copy(ex.name[:], q.Name)
	ex.options = append(ex.options[:0], q.Options...)
	ex.question = transport.Question{
		Name: ex.name[:n], Options: ex.options, Type: q.Type, Class: q.Class, Flags: q.Flags, DO: q.DO, Payload: cfg.Payload,
	}
	ex.measure = ex.measure[:0]
	start.Config, start.Group = &cfg.policy, g.health
	start.Key, start.Client, start.Proxy, start.DO = s.key(ex.question.Name), s.clientKey(q.Client), isProxy(q.Client), q.DO
	ex.query.Reset(start)
	ex.due.Store(1 << 62)
	ex.refs.Store(2) // one of the registry, one of this call
	ex.shard = &s.registries[rand.Uint32N(uint32(len(s.registries)))]
	ex.shard.addExchange(ex)
	s.inFlight.Add(1)
	end, ended := ex.begin(now)
	measure := ex.measure
	for _, i := range measure {
		s.launch(g, q, policy.Start{Purpose: policy.Probing, Only: i}, nil)
	}
	if ended || s.closed.Load() {
		w := s.workers.Get().(*worker)
		switch {
		case ended:
			w.conclude(ex, end)
		case ex.abandon():
			w.conclude(ex, policy.EndTimeout)
		}
		w.Flush()
		s.workers.Put(w)
	}
	ex.release()
	if !s.ticking.Load() && s.ticking.CompareAndSwap(false, true) {
		wake.Up(s.wake)
	}
}

// abandon ends an exchange without asking its policy. It returns false if the exchange had
// already ended.
func (ex *exchange) abandon() bool {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done {
		return false
	}
	ex.finish()
	return true
}

// Flush sends the packets that Send has queued. Call it after a batch of Sends.
func (s *Set) Flush() {
	if !s.udp.Queued() {
		return
	}
	w := s.workers.Get().(*worker)
	w.Flush()
	s.workers.Put(w)
}

// Stats returns the current counters. The caller owns the result.
func (s *Set) Stats() Stats {
	st := Stats{
		WrongReplies: s.udp.WrongReplies() + s.tcp.WrongReplies() + s.tls.WrongReplies(),
		TCPDials:     s.tcp.Dials(), TCPConns: s.tcp.Conns(), InFlight: int(s.inFlight.Load()),
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	s.health.Lock()
	defer s.health.Unlock()
	st.TCPExchanges, st.TCPRefused = s.streams.Taken, s.streams.Refused
	now := s.now()
	labels := make(map[string]int, len(s.order))
	for _, srv := range s.order {
		st.Servers = append(st.Servers, srv.statsNow(now))
		labels[srv.label()]++
	}
	for i, srv := range s.order {
		if labels[srv.label()] > 1 {
			st.Servers[i].Label = srv.spec.Full()
		}
	}
	return st
}

// socketLog logs, at a limited rate, that a socket could not be used.
func (s *Set) socketLog(srv *server, err error) {
	if errors.Is(err, transport.ErrClosed) {
		return
	}
	if n, ok := s.sockLogs.Allow(s.now()); ok {
		s.cfg.Load().Logger.Warn("cannot send to server", slog.String("server", srv.label()), slog.Any("error", err), lograte.Suppressed(n))
	}
}

// crashed logs and counts a panic while a message was parsed.
func (s *Set) crashed(server netip.AddrPort, msg []byte, cause any) {
	logger := s.cfg.Load().Logger
	s.panics.Error("recovered from a panic while reading a reply", logger, cause, msg, slog.String("server", server.String()))
}

// Run sends and receives messages until ctx ends. It then ends the exchanges in progress with
// ErrClosed, and returns nil when all its goroutines have ended. It must be called at most
// once.
func (s *Set) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	// The transports end after Close, when no question is sent any more.
	working, end := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { s.udp.Run(working) })
	wg.Go(func() { s.tcp.Run(working) })
	wg.Go(func() { s.tls.Run(working) })
	wg.Go(func() { s.runTicker(ctx) })
	s.running.Store(true)
	s.probeLoops()
	<-ctx.Done()
	s.Close()
	end()
	wg.Wait()
	return nil
}

// Close ends the exchanges in progress with ErrClosed and closes all sockets. After Close,
// exchanges that Send begins end at once with ErrClosed. Run calls Close when its context
// ends.
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
		if ex.abandon() {
			w.conclude(ex, policy.EndTimeout)
		}
		ex.release()
	}
	w.Flush()
	s.udp.Close()
}
