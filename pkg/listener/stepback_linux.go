package listener

import (
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settleTime is how long StepBack waits until what has arrived has been read, and for its
	// own packets.
	settleTime = 50 * time.Millisecond
	// stepProbes is the number of packets that it sends to find out who gets them.
	stepProbes = 4
)

// StepBack makes the kernel give the queries and connections that arrive from now on to
// another process that shares the ports ([Config.Share]), if there is one. This server goes on
// answering what has arrived, and what it gets all the same. StepBack is meant for a server that
// is about to end, because a query that arrives when its socket is closed is lost. It takes 0.1
// or 0.2 s.
func (s *Server) StepBack() {
	if !s.cfg.Share {
		return
	}
	left := s.Addrs()
	// The kernel numbers the sockets that share a port in the order in which they were bound; if
	// one is closed, the last gets its number. If this server was the first of two, the first
	// number after its own is one of the other process, otherwise number 0. Both are tried.
	// While our sockets are closed, these numbers stay the same. The other process may then
	// get all packets on one socket, until the next one binds the port.
	for _, first := range []bool{true, false} {
		s.steer(left, first)
		time.Sleep(settleTime)
		before := s.received()
		for _, addr := range left {
			probe(addr)
		}
		time.Sleep(settleTime)
		now := s.received()
		left = slices.DeleteFunc(left, func(addr netip.AddrPort) bool { return now[addr] == before[addr] })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, addr := range s.addrs {
		if slices.Contains(left, addr) {
			unsteer(s.listeners[i])
			unsteer(s.udp[i*s.cfg.sockets].conn)
		}
	}
}

// probe sends packets that are too short to be queries.
func probe(addr netip.AddrPort) {
	for range stepProbes {
		if c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr)); err == nil {
			_, _ = c.Write([]byte{0})
			_ = c.Close()
		}
	}
}

// received returns the number of UDP packets of each address.
func (s *Server) received() map[netip.AddrPort]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[netip.AddrPort]uint64{}
	for i, u := range s.udp {
		n[s.addrs[i/s.cfg.sockets]] += u.stats.queries.Load() + u.stats.short.Load()
	}
	return n
}

// steer leads what arrives at addresses to another process, which was there after this one
// if first is true, or before it.
func (s *Server) steer(addrs []netip.AddrPort, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, addr := range s.addrs {
		switch {
		case !slices.Contains(addrs, addr):
		case first:
			steerTo(s.listeners[i], 1)
			steerTo(s.udp[i*s.cfg.sockets].conn, s.cfg.sockets)
		default:
			steerTo(s.listeners[i], 0)
			steerTo(s.udp[i*s.cfg.sockets].conn, 0)
		}
	}
}

// steerTo makes the kernel choose the socket with a number for all packets to the port of a
// socket. If there is none, or the kernel does not support this, it goes on choosing among all.
func steerTo(socket syscall.Conn, number int) {
	program := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(number)}}
	onSocket(socket, func(fd int) {
		_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program)
	})
}

// unsteer undoes steerTo.
func unsteer(socket syscall.Conn) {
	onSocket(socket, func(fd int) { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0) })
}

func onSocket(socket syscall.Conn, do func(fd int)) {
	if raw, err := socket.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
}
