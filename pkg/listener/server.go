package listener

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/internal/panics"
)

// Server is a set of bound sockets. Its methods are safe for concurrent use.
type Server struct {
	cfg Config // with defaults; does not change

	// mu protects the fields of this group. addrs[i] has the TCP listener
	// listeners[i] and cfg.sockets consecutive elements of udp.
	mu        sync.Mutex
	addrs     []netip.AddrPort   // the addresses served, with their real ports
	udp       []*udpSocket       // the UDP sockets of all addresses
	listeners []*net.TCPListener // one for each address
	closed    bool               // stop has been called
	// launch starts to receive from sockets. It is nil before Run.
	launch  func(udp []*udpSocket, tcp *net.TCPListener)
	retired Stats // the counters of closed sockets

	// The fields of this group are safe for concurrent use.
	conns     connTable       // the TCP connections
	tcp       tcpCounters     // the TCP part of Stats
	panics    panics.Log      // panics of the handler, and of this package
	memory    memory          // the buffers of TCP connections
	acceptLog lograte.Limiter // limits the logging of failed accepts
	stop      func()          // closes every socket; may be called repeatedly
	stopped   chan struct{}   // closed by stop
}

// Listen binds every address of cfg. The sockets queue the queries that arrive, but
// nothing is answered before [Server.Run]. If an address cannot be bound, the error
// names protocol, address and port, and nothing remains bound.
func Listen(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, stopped: make(chan struct{})}
	s.conns.init(&s.cfg)
	s.memory.init(s.cfg.maxBufferBytes)
	s.stop = sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closed = true
		close(s.stopped)
		for _, l := range s.listeners {
			_ = l.Close()
		}
		for _, u := range s.udp {
			u.close()
		}
	})
	var asked []netip.AddrPort
	for _, addr := range cfg.Addrs {
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		if addr.Port() != 0 && slices.Contains(asked, addr) {
			continue
		}
		asked = append(asked, addr)
		if _, err := s.bindAddress(addr); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

// bindAddress binds one address, adds its sockets to s and returns the UDP sockets.
// s.mu must be held, unless s is not shared yet.
func (s *Server) bindAddress(addr netip.AddrPort) ([]*udpSocket, error) {
	b, err := bind(addr, &s.cfg)
	if err != nil {
		return nil, err
	}
	if s.cfg.Share { // of a process that has ended
		unsteer(b.tcp)
		unsteer(b.udp[0])
	}
	var udp []*udpSocket
	for _, c := range b.udp {
		u, err := newUDPSocket(s, c, addr.Addr())
		if err != nil {
			b.close()
			return nil, bindError("udp", b.addr, err)
		}
		udp = append(udp, u)
	}
	s.addrs = append(s.addrs, b.addr)
	s.listeners = append(s.listeners, b.tcp)
	s.udp = append(s.udp, udp...)
	return udp, nil
}

// Addrs returns the addresses that are served: those of Config.Addrs in that order,
// without duplicates and with the real port in place of 0, and then those that Update
// added. The caller owns the result.
func (s *Server) Addrs() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.addrs)
}

// Stats returns the current counters. They are read one by one, so while queries
// arrive, their sums may not match exactly.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.retired
	st.Panics, st.TCPOpen, st.TCPBufferBytes = s.panics.Count(), uint64(s.conns.open()), uint64(s.memory.used.Load())
	for _, u := range s.udp {
		u.stats.addTo(&st)
	}
	s.tcp.addTo(&st)
	return st
}

// Close closes the sockets; Run then ends as if its context had ended. Close is only
// necessary if Run is never called.
func (s *Server) Close() {
	s.stop()
	s.conns.drain()
}

// Run answers queries until ctx ends. It then closes the sockets, gives TCP
// connections Config.grace to send their remaining answers, and returns nil when all
// its goroutines have ended. It must be called at most once.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { <-s.stopped }) // keeps wg waiting even if there is no address
	s.mu.Lock()
	s.launch = func(udp []*udpSocket, tcp *net.TCPListener) {
		for _, u := range udp {
			wg.Go(u.run)
		}
		if tcp != nil {
			wg.Go(func() { s.accept(ctx, tcp, &wg) })
		}
	}
	s.launch(s.udp, nil)
	for _, l := range s.listeners {
		s.launch(nil, l)
	}
	s.mu.Unlock()
	release := context.AfterFunc(ctx, s.Close)
	defer release()
	wg.Wait()
	return nil
}

// guardedWorker calls a worker and recovers from the panics of Preview and Flush.
type guardedWorker struct {
	srv    *Server // receives the panics
	worker Worker
}

func newGuardedWorker(s *Server) guardedWorker {
	if splitter, ok := s.cfg.Handler.(Splitter); ok {
		return guardedWorker{srv: s, worker: splitter.Split()}
	}
	return guardedWorker{srv: s, worker: plainWorker{s.cfg.Handler}}
}

// plainWorker makes a Worker of a Handler that is not a Splitter.
type plainWorker struct{ Handler }

// Preview implements [Worker].
func (plainWorker) Preview([][]byte) {}

// Flush implements [Worker].
func (plainWorker) Flush() {}

// preview shows a batch to the worker. A panic is logged; its cause will be met again
// in Handle.
func (p *guardedWorker) preview(packets [][]byte) {
	defer func() {
		if cause := recover(); cause != nil {
			p.srv.panicked(cause, nil, ReplyTo{}, nil)
		}
	}()
	p.worker.Preview(packets)
}

// flush lets the worker finish what it has collected. A panic is logged; the queries
// concerned are lost.
func (p *guardedWorker) flush() {
	defer func() {
		if cause := recover(); cause != nil {
			p.srv.panicked(cause, nil, ReplyTo{}, nil)
		}
	}()
	p.worker.Flush()
}

// panicked logs and counts a panic of the handler and asks OnPanic for an answer. A
// panic of OnPanic is ignored: the first one is the one to fix.
func (s *Server) panicked(cause any, packet []byte, to ReplyTo, reply []byte) (answer []byte) {
	s.panics.Error("recovered from a panic while handling a query", s.cfg.Logger, cause, packet, slog.String("client", to.peer.String()))
	if s.cfg.OnPanic == nil || len(packet) == 0 {
		return nil
	}
	defer func() {
		if recover() != nil {
			answer = nil
		}
	}()
	return s.cfg.OnPanic(packet, to, reply)
}
