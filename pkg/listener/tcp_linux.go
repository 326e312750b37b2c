package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
)

// acceptPause is the pause after an error of accept such as "too many open files",
// which would only occur again at once.
const acceptPause = 50 * time.Millisecond

// accept accepts connections of l until l is closed, and starts a goroutine in wg for
// each.
func (s *Server) accept(ctx context.Context, l *net.TCPListener, wg *sync.WaitGroup) {
	for {
		nc, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.tcp.acceptErrors.Add(1)
			if n, ok := s.acceptLog.Allow(time.Now().UnixNano()); ok {
				s.cfg.Logger.Warn("cannot accept a TCP connection", slog.Any("error", err), lograte.Suppressed(n))
			}
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		if c := s.admit(nc); c != nil {
			wg.Go(c.run)
		} else {
			_ = nc.Close()
		}
	}
}

// admit returns a new connection if there is room for it, and nil if not. A panic costs
// that connection alone.
func (s *Server) admit(nc *net.TCPConn) (admitted *conn) {
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(cause, nil, ReplyTo{peer: bare(nc.RemoteAddr())}, nil)
		}
	}()
	c, err := newConn(s, nc)
	if err != nil {
		return nil
	}
	evicted, ok := s.conns.admit(c, time.Now().UnixNano())
	if !ok {
		s.tcp.refused.Add(1)
		return nil
	}
	if evicted != nil {
		s.tcp.evicted.Add(1)
		evicted.abort()
	}
	s.tcp.accepted.Add(1)
	return c
}

// bare returns the address and port of a without a zone; an IPv4 address in IPv6 form
// becomes an IPv4 address.
func bare(a net.Addr) netip.AddrPort {
	ta, ok := a.(interface{ AddrPort() netip.AddrPort }) // of TCP or UDP
	if !ok {
		return netip.AddrPort{}
	}
	ap := ta.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
