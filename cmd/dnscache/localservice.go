package main

import (
	"log/slog"
	"net/netip"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// localService is --local-service: queries from other networks than those that
// this host is connected to are dropped without an answer.
type localService struct {
	next   handler
	logger *slog.Logger
	// hostOnly is --local-service=host: only this host is answered.
	hostOnly bool
	networks atomic.Pointer[[]netip.Prefix]
	warned   atomic.Bool
	dropped  atomic.Uint64
}

var _ handler = (*localService)(nil)

// Handle implements [listener.Handler].
func (s *localService) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	return s.handle(s.next, packet, to, reply)
}

func (s *localService) handle(next listener.Handler, packet []byte, to listener.ReplyTo, reply []byte) []byte {
	if s.local(to.Peer().Addr()) {
		return next.Handle(packet, to, reply)
	}
	s.dropped.Add(1)
	to.Drop()
	if !s.warned.Swap(true) {
		s.logger.Warn("ignoring query from non-local network", "client", to.Peer().Addr().String())
	}
	return nil
}

// Flush implements [listener.Flusher].
func (s *localService) Flush() { s.next.Flush() }

// Split implements [listener.Splitter].
func (s *localService) Split() listener.Handler {
	next := s.next.Split()
	p := &localPart{service: s, next: next}
	p.flusher, _ = next.(listener.Flusher)
	p.previewer, _ = next.(listener.Previewer)
	return p
}

// localPart is a localService for one goroutine.
type localPart struct {
	service *localService
	next    listener.Handler
	flusher listener.Flusher // next, if it is one
	// previewer is next, if it is one. It may be shown what is then dropped.
	previewer listener.Previewer
}

// Preview implements [listener.Previewer].
func (p *localPart) Preview(packets [][]byte) {
	if p.previewer != nil {
		p.previewer.Preview(packets)
	}
}

// Handle implements [listener.Handler].
func (p *localPart) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	return p.service.handle(p.next, packet, to, reply)
}

// Flush implements [listener.Flusher].
func (p *localPart) Flush() {
	if p.flusher != nil {
		p.flusher.Flush()
	}
}

// local reports whether an address is this host's or on a network of it.
func (s *localService) local(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() {
		return true
	}
	networks := s.networks.Load()
	if networks == nil {
		return false
	}
	for _, n := range *networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// refresh takes the networks that the interfaces are connected to now.
func (s *localService) refresh(interfaces func() (netif.List, error)) {
	all, err := interfaces()
	if err != nil {
		s.logger.Warn("listing the interfaces", "error", err)
		return
	}
	var networks []netip.Prefix
	for _, i := range all {
		for _, n := range i.Networks {
			if s.hostOnly {
				n = netip.PrefixFrom(n.Addr(), n.Addr().BitLen())
			}
			networks = append(networks, n.Masked())
		}
	}
	s.networks.Store(&networks)
}
