package listener

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// acceptPause is how long accepting rests after an error such as "too many
// open files", which would only repeat.
const acceptPause = 50 * time.Millisecond

// accept takes connections of l until it is closed; each has its goroutine in
// wg.
func (s *Server) accept(ctx context.Context, l *net.TCPListener, wg *sync.WaitGroup) {
	for {
		nc, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.tcp.acceptErrors.Add(1)
			if n, ok := s.acceptLog.Allow(time.Now().UnixNano()); ok {
				s.cfg.Logger.Warn("accepting a TCP connection failed", slog.Any("error", err), slog.Uint64("suppressed", n))
			}
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		c, err := newConn(s, nc)
		if err != nil {
			_ = nc.Close()
			continue
		}
		evicted, ok := s.conns.add(c, time.Now().UnixNano())
		if !ok {
			s.tcp.refused.Add(1)
			_ = nc.Close()
			continue
		}
		if evicted != nil {
			s.tcp.evicted.Add(1)
			evicted.abort()
		}
		s.tcp.accepted.Add(1)
		wg.Go(c.run)
	}
}

// bare returns a's address and port without zone and without the IPv4-in-IPv6
// form.
func bare(a net.Addr) netip.AddrPort {
	ta, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := ta.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
