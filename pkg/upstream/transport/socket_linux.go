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
	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// socket is one connected UDP socket. References to it are held by its pool, by each call
// that waits for a reply, and by each user during a system call. Whoever releases the last
// reference closes the socket, so its descriptor is never used after another file has got it.
type socket struct {
	server netip.AddrPort // the server that it is connected to
	poller *poller        // what reads from it
	fd     int            // the file descriptor
	slot   int32          // in the poller
	opened int64          // when it was opened, in nanoseconds of Env's clock
	uses   int            // guarded by the pool
	refs   atomic.Int32   // number of references; the last one closes the socket

	mu    sync.Mutex // protects table
	table calls      // the calls that wait for replies, by id

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

// addCall adds a call under the first free one of ids, and takes a reference for it. It
// returns false if none is free.
func (s *socket) addCall(c *Call, ids uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range 3 {
		id := uint16(ids)
		if s.table.find(id) == nil {
			c.id, c.sock = id, s
			s.table.insert(c)
			s.refs.Add(1)
			return true
		}
		ids >>= 16
	}
	return false
}

// readd adds a call that was removed again, under the ID that it had. Only the reader calls
// it, which holds a reference to the socket.
func (s *socket) readd(c *Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table.find(c.id) != nil {
		return false
	}
	s.table.insert(c)
	s.refs.Add(1)
	return true
}

// remove removes a call and reports whether it was in the table; if so, it releases the
// call's reference to the socket.
func (s *socket) remove(c *Call) bool {
	s.mu.Lock()
	ok := s.table.remove(c)
	s.mu.Unlock()
	if ok {
		s.release()
	}
	return ok
}

// match removes and returns the call whose ID and question msg repeats. If msg answers no
// call, nothing changes. miscased reports that msg matches the call except for the case of
// its question.
func (s *socket) match(msg []byte) (c *Call, miscased bool) {
	if len(msg) < wire.HeaderLen || msg[2]&0x80 == 0 {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c = s.table.find(wire.ID(msg))
	if c == nil || !c.matches(msg) {
		return nil, false
	}
	s.table.remove(c)
	s.release() // not the last one: the reader has one
	return c, !c.spelled(msg)
}

// takeAll removes and returns all calls, after an error of the socket.
func (s *socket) takeAll() []*Call {
	s.mu.Lock()
	list := s.table.takeAll()
	s.mu.Unlock()
	for range list {
		s.release()
	}
	return list
}

// openSocket opens a socket for a pool, adds it to the poller, and returns it with one
// reference.
func openSocket(p *pool, poller *poller, port uint16, now int64) (*socket, error) {
	cfg := p.udp.cfg.Load()
	fd, err := dialUDP(&p.ep, port, cfg.fixedPort(&p.ep) != 0)
	if err != nil {
		return nil, fmt.Errorf("opening a socket for %v: %w", p.ep.Addr, err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, cfg.receiveBuffer(&p.ep))
	s := &socket{server: p.ep.Addr, poller: poller, fd: fd, opened: now, table: calls{}}
	s.refs.Store(1)
	if err := poller.watchSocket(s); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watching a socket for %v: %w", p.ep.Addr, err)
	}
	return s, nil
}

// receiveBuffer returns the size of a socket's receive buffer in octets, which is larger
// where few sockets carry all questions.
func (c *udpSettings) receiveBuffer(ep *route.Server) int {
	if sockets, _, _ := c.limits(ep); sockets <= loopbackSockets {
		return 1 << 20
	}
	return 128 << 10
}

// dialUDP returns the descriptor of a connected, non-blocking UDP socket. port is the local
// port, 0 for one that the kernel chooses. If it is shared, sockets that are connected to
// other servers may use the same port.
func dialUDP(ep *route.Server, port uint16, shared bool) (int, error) {
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

func connectUDP(fd int, ep *route.Server, port uint16, shared bool) error {
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
