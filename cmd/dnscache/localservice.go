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
	next   listener.Splitter
	logger *slog.Logger
	// hostOnly is --local-service=host: only this host is answered.
	hostOnly bool
	networks atomic.Pointer[[]netip.Prefix]
	warned   atomic.Bool
	dropped  atomic.Uint64
}

var _ listener.Splitter = (*localService)(nil)

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

// Split implements [listener.Splitter].
func (s *localService) Split() listener.Worker {
	return &localWorker{Worker: s.next.Split(), service: s}
}

// localWorker is a localService for one goroutine. Its Preview also shows what
// is then dropped.
type localWorker struct {
	listener.Worker
	service *localService
}

// Handle implements [listener.Handler].
func (w *localWorker) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	return w.service.handle(w.Worker, packet, to, reply)
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
