package listener

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
)

// Server is a set of bound sockets. Its methods may be called from any
// goroutine.
type Server struct {
	cfg       Config
	mu        sync.Mutex // guards what follows up to retired
	addrs     []netip.AddrPort
	udp       []*udpSocket
	listeners []*net.TCPListener
	closed    bool
	// launch makes sockets receive, nil while Run does not run.
	launch  func(udp []*udpSocket, tcp *net.TCPListener)
	retired Stats // what closed sockets counted

	conns     connTable
	tcp       tcpCounters
	panics    atomic.Uint64
	memory    memory
	acceptLog lograte.Limiter
	panicLog  lograte.Limiter
	stop      func() // idempotent: closes every socket
	stopped   chan struct{}
}

// Listen binds every address of cfg. The sockets queue what arrives; nothing is
// answered before [Server.Run]. An error names protocol, address and port, and
// leaves nothing bound.
func Listen(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, stopped: make(chan struct{})}
	s.conns.init(&s.cfg)
	s.memory.init(s.cfg.MaxBufferBytes)
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
		if _, err := s.add(addr); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

// add binds one address and returns its UDP sockets.
func (s *Server) add(addr netip.AddrPort) ([]*udpSocket, error) {
	b, err := bind(addr, s.cfg.Sockets, s.cfg.SocketBufferBytes)
	if err != nil {
		return nil, err
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

// Addrs returns the addresses in the order of Config.Addrs, without repeats,
// with the real port in place of 0, then those that Update added.
func (s *Server) Addrs() []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.addrs)
}

// Stats returns the counters as they are now. They are read one by one, so
// sums of a moving system need not add up.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.retired
	st.Panics, st.TCPOpen, st.TCPBufferBytes = s.panics.Load(), uint64(s.conns.open()), uint64(s.memory.used.Load())
	for _, u := range s.udp {
		u.stats.addTo(&st)
	}
	s.tcp.addTo(&st)
	return st
}

// Close closes the sockets; Run then ends as if its context had been cancelled.
// It is needed only when Run is never called.
func (s *Server) Close() {
	s.stop()
	s.conns.drain()
}

// Run answers until ctx is cancelled, then closes the sockets, gives TCP
// connections Config.Grace to send what was asked of them, and returns nil when
// all its goroutines have ended. It must be called at most once.
func (s *Server) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { <-s.stopped }) // there may be no address for a while
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

// part is a worker with the server that its panics are reported to.
type part struct {
	srv    *Server
	worker Worker
}

func newPart(s *Server) part {
	if splitter, ok := s.cfg.Handler.(Splitter); ok {
		return part{srv: s, worker: splitter.Split()}
	}
	return part{srv: s, worker: plain{s.cfg.Handler}}
}

// plain is a Handler without workers as a Worker.
type plain struct{ Handler }

func (plain) Preview([][]byte) {}
func (plain) Flush()           {}

// preview shows the handler a batch. A panic is reported; Handle will meet what
// caused it again.
func (p *part) preview(packets [][]byte) {
	defer func() {
		if cause := recover(); cause != nil {
			p.srv.panicked(cause, nil, ReplyTo{}, nil)
		}
	}()
	p.worker.Preview(packets)
}

// loggedBytes bounds how much of a query and of a stack is logged.
const (
	loggedQueryBytes = 256
	loggedStackBytes = 4096
)

// flush lets the handler work off what it collected. A panic is reported; the
// queries concerned are lost.
func (p *part) flush() {
	defer func() {
		if cause := recover(); cause != nil {
			p.srv.panicked(cause, nil, ReplyTo{}, nil)
		}
	}()
	p.worker.Flush()
}

// panicked reports a panic of the handler and asks OnPanic for an answer. A
// panic of OnPanic is dropped: the first one is what has to be fixed.
func (s *Server) panicked(cause any, packet []byte, to ReplyTo, reply []byte) (answer []byte) {
	s.panics.Add(1)
	if n, ok := s.panicLog.Allow(time.Now().UnixNano()); ok {
		stack := debug.Stack()
		s.cfg.Logger.Error("handling a query panicked",
			slog.Any("error", cause),
			slog.String("query", hex.EncodeToString(packet[:min(len(packet), loggedQueryBytes)])),
			slog.Any("client", to.peer),
			slog.String("stack", string(stack[:min(len(stack), loggedStackBytes)])),
			slog.Uint64("suppressed", n))
	}
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
