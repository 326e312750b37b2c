package listener

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// Files returns duplicates of the sockets of each address, in the form of [Config.Inherited].
// While one of them is open, the kernel keeps the queries that arrive at the address, whatever
// happens to this process. The caller must close them.
func (s *Server) Files() (files map[netip.AddrPort][]*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files = map[netip.AddrPort][]*os.File{}
	defer func() {
		if err != nil {
			closeFiles(files)
			files = nil
		}
	}()
	for i, addr := range s.addrs {
		f, err := s.listeners[i].File()
		if err != nil {
			return files, fmt.Errorf("duplicating the socket of tcp %v: %w", addr, err)
		}
		files[addr] = append(files[addr], f)
		for _, u := range s.udp[i*s.cfg.sockets : (i+1)*s.cfg.sockets] {
			if f, err = u.conn.File(); err != nil {
				return files, fmt.Errorf("duplicating a socket of udp %v: %w", addr, err)
			}
			files[addr] = append(files[addr], f)
		}
	}
	return files, nil
}

// errInherited means that the sockets passed to this process are not those that Files returns.
var errInherited = errors.New("the inherited sockets are not one TCP listener and UDP sockets of the address")

// inherit makes the sockets of addr from the files of another process, and closes the files.
func inherit(addr netip.AddrPort, files []*os.File) (b *bound, err error) {
	b = &bound{addr: addr}
	defer func() {
		closeFiles(map[netip.AddrPort][]*os.File{addr: files})
		if err != nil {
			b.close()
			b, err = nil, fmt.Errorf("listening on %v: %w", addr, err)
		}
	}()
	for i, f := range files {
		if i == 0 {
			l, err := net.FileListener(f)
			if err != nil {
				return b, err
			}
			tcp, ok := l.(*net.TCPListener)
			if !ok || bare(l.Addr()) != addr {
				_ = l.Close()
				return b, errInherited
			}
			b.tcp = tcp
			continue
		}
		c, err := net.FilePacketConn(f)
		if err != nil {
			return b, err
		}
		udp, ok := c.(*net.UDPConn)
		if !ok || bare(c.LocalAddr()) != addr {
			_ = c.Close()
			return b, errInherited
		}
		b.udp = append(b.udp, udp)
	}
	return b, nil
}

// inheritedSockets returns the number of UDP sockets that each inherited address has, or 0 if
// there is no address. It must be the same for all, and at least one.
func inheritedSockets(files map[netip.AddrPort][]*os.File) (n int, err error) {
	for _, list := range files {
		if n == 0 {
			n = len(list) - 1
		}
		if len(list) < 2 || len(list) != n+1 {
			return 0, errInherited
		}
	}
	return n, nil
}

func closeFiles(files map[netip.AddrPort][]*os.File) {
	for _, list := range files {
		for _, f := range list {
			_ = f.Close()
		}
	}
}
