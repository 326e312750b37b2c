package transport

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/mmsg"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// socket is one connected UDP socket. It lives as long as somebody holds a
// reference: its pool, each call that waits for a reply, each user for the time
// of a system call. The last one closes it, so nobody ever uses a descriptor
// that has become another file's.
type socket struct {
	server netip.AddrPort // the server that it is connected to
	poller *poller        // what reads from it
	fd     int            // the file descriptor
	slot   int32          // in the poller
	opened int64          // when it was opened, in nanoseconds of Env's clock
	uses   int            // guarded by the pool
	refs   atomic.Int32   // number of references; the last one closes the socket

	mu    sync.Mutex // protects table
	table idTable    // the calls that wait for replies, by id

	outMu  sync.Mutex   // protects out and queued
	out    *mmsg.Outbox // nil when nothing waits
	queued bool         // in the transport's list of sockets to flush
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

// addCall enters a call under the first of the ids that is free, and takes a
// reference for it. It reports false when none is.
func (s *socket) addCall(c *Call, ids uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 3 {
		id := uint16(ids)
		if s.table.get(id) == nil {
			c.id, c.sock = id, s
			s.table.addCall(c)
			s.refs.Add(1)
			return true
		}
		ids >>= 16
	}
	return false
}

// readd enters a call that was taken out again, under the id that it had. The
// caller is the reader, which holds a reference to the socket.
func (s *socket) readd(c *Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table.get(c.id) != nil {
		return false
	}
	s.table.addCall(c)
	s.refs.Add(1)
	return true
}

// remove takes a call out and reports whether it was in. Its reference to the
// socket is then given back.
func (s *socket) remove(c *Call) bool {
	s.mu.Lock()
	ok := s.table.remove(c)
	s.mu.Unlock()
	if ok {
		s.release()
	}
	return ok
}

// match takes out the call that msg answers: its id, its question. A packet that
// answers nothing leaves everything as it is. miscased says that it would answer
// the call but for the case of its question.
func (s *socket) match(msg []byte) (c *Call, miscased bool) {
	if len(msg) < wire.HeaderLen || msg[2]&0x80 == 0 {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c = s.table.get(wire.ID(msg))
	if c == nil || !c.matches(msg) {
		return nil, false
	}
	s.table.remove(c)
	s.release() // not the last one: the reader has one
	return c, !c.spelled(msg)
}

// takeAll takes out all calls, after an error of the socket.
func (s *socket) takeAll() []*Call {
	s.mu.Lock()
	list := s.table.takeAll(nil)
	s.mu.Unlock()
	for range list {
		s.release()
	}
	return list
}

// openSocket makes a socket of a pool, known to the poller, with one reference.
func openSocket(p *pool, poller *poller, port uint16, now int64) (*socket, error) {
	cfg := p.udp.cfg.Load()
	fd, err := dialUDP(&p.ep, port, cfg.fixedPort(&p.ep) != 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket for %v: %w", p.ep.Addr, err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, cfg.receiveBuffer(&p.ep))
	s := &socket{server: p.ep.Addr, poller: poller, fd: fd, opened: now}
	s.refs.Store(1)
	if err := poller.watchSocket(s); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watching a socket for %v: %w", p.ep.Addr, err)
	}
	return s, nil
}

// receiveBuffer is larger where few sockets carry all.
func (c *UDPConfig) receiveBuffer(ep *Endpoint) int {
	if sockets, _, _ := c.limits(ep); sockets <= loopbackSockets {
		return 1 << 20
	}
	return 128 << 10
}

// dialUDP returns a connected, non-blocking UDP socket. port is the local one,
// 0 for one that the kernel draws; a shared one may be that of sockets that are
// connected to other servers.
func dialUDP(ep *Endpoint, port uint16, shared bool) (int, error) {
	family := unix.AF_INET
	if ep.Addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	if err := connectUDP(fd, ep, port, shared); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

func connectUDP(fd int, ep *Endpoint, port uint16, shared bool) error {
	if ep.Interface != "" {
		if err := unix.BindToDevice(fd, ep.Interface); err != nil {
			return os.NewSyscallError("bindtodevice", err)
		}
	}
	if source := ep.Source.Addr(); source.IsValid() || port != 0 {
		if !source.IsValid() {
			source = netip.IPv4Unspecified()
			if ep.Addr.Addr().Is6() {
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
	return os.NewSyscallError("connect", unix.Connect(fd, sockaddr(ep.Addr)))
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
