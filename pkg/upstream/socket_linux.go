package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// socket is one connected UDP socket. It lives as long as somebody holds a
// reference: its pool, each attempt that waits for a reply, each user for the
// time of a system call. The last one closes it, so nobody ever uses a
// descriptor that has become another file's.
type socket struct {
	srv    *server
	poller *poller
	fd     int
	slot   int32 // in the poller
	opened int64
	uses   int // guarded by the pool
	refs   atomic.Int32

	mu    sync.Mutex
	table idTable

	outMu  sync.Mutex
	out    *outbox // nil when nothing waits
	queued bool    // in the set's list of sockets to flush
}

// acquire takes a reference unless the socket is already closed.
func (s *socket) acquire() bool {
	for {
		n := s.refs.Load()
		if n <= 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *socket) release() {
	if s.refs.Add(-1) == 0 {
		s.poller.remove(s)
		_ = unix.Close(s.fd)
	}
}

// add enters an attempt under the first of the ids that is free, and takes a
// reference for it. It reports false when none is.
func (s *socket) add(a *attempt, ids uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 3 {
		id := uint16(ids)
		if s.table.get(id) == nil {
			a.id, a.sock = id, s
			s.table.add(a)
			s.refs.Add(1)
			return true
		}
		ids >>= 16
	}
	return false
}

// remove takes an attempt out. If it was in, its reference to the socket is
// given back, and the table's reference to the exchange is the caller's.
func (s *socket) remove(a *attempt) bool {
	s.mu.Lock()
	ok := s.table.remove(a)
	s.mu.Unlock()
	if ok {
		s.release()
	}
	return ok
}

// match takes out the attempt that msg answers: its id, its question. A
// packet that answers nothing leaves everything as it is. If it would answer one
// but for the case of its question, that one is miscased, and the caller has a
// reference to its exchange.
func (s *socket) match(msg []byte) (answered, miscased *attempt) {
	if len(msg) < 12 || msg[2]&0x80 == 0 {
		return nil, nil
	}
	id := uint16(msg[0])<<8 | uint16(msg[1])
	s.mu.Lock()
	a := s.table.get(id)
	if a == nil || !a.ex.matches(msg, a.edns) {
		s.mu.Unlock()
		return nil, nil
	}
	if !a.spelled(msg) {
		a.ex.refs.Add(1)
		s.mu.Unlock()
		return nil, a
	}
	s.table.remove(a)
	s.mu.Unlock()
	s.release()
	return a, nil
}

// takeAll takes out all attempts, after an error of the socket.
func (s *socket) takeAll(dst []*attempt) []*attempt {
	s.mu.Lock()
	n := len(dst)
	dst = s.table.takeAll(dst)
	s.mu.Unlock()
	for range dst[n:] {
		s.release()
	}
	return dst
}

// openSocket makes a socket for srv, known to the poller, with one reference.
func openSocket(srv *server, p *poller, cfg *Config, port uint16, now int64) (*socket, error) {
	fd, err := dialUDP(&srv.spec, port, cfg.fixedPort(&srv.spec) != 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket for %v: %w", srv.spec.Addr, err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer(cfg, srv))
	s := &socket{srv: srv, poller: p, fd: fd, opened: now}
	s.refs.Store(1)
	if err := p.add(s); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watching a socket for %v: %w", srv.spec.Addr, err)
	}
	return s, nil
}

// receiveBuffer is larger where few sockets carry all.
func receiveBuffer(cfg *Config, srv *server) int {
	if sockets, _, _ := cfg.poolLimits(&srv.spec); sockets <= loopbackSockets {
		return 1 << 20
	}
	return 128 << 10
}

// dialUDP returns a connected, non-blocking UDP socket. port is the local one,
// 0 for one that the kernel draws; a shared one may be that of sockets that are
// connected to other servers.
func dialUDP(spec *Server, port uint16, shared bool) (int, error) {
	family := unix.AF_INET
	if spec.Addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := connectUDP(fd, spec, port, shared); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func connectUDP(fd int, spec *Server, port uint16, shared bool) error {
	if spec.Interface != "" {
		if err := unix.BindToDevice(fd, spec.Interface); err != nil {
			return os.NewSyscallError("bindtodevice", err)
		}
	}
	if source := spec.Source.Addr(); source.IsValid() || port != 0 {
		if !source.IsValid() {
			source = netip.IPv4Unspecified()
			if spec.Addr.Addr().Is6() {
				source = netip.IPv6Unspecified()
			}
		}
		if shared {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, port))); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	return os.NewSyscallError("connect", unix.Connect(fd, sockaddr(spec.Addr)))
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(i.Index)
		}
	}
	return sa
}
