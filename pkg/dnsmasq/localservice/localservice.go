// Package localservice is --local-service: queries from other networks than those that this
// host is connected to are dropped without an answer.
//
// Put [New] between a listener and its handler, and call [Filter.Refresh] from time to time.
package localservice

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/netif"
)

// Filter drops queries from other networks.
type Filter struct {
	next   listener.Splitter
	logger *slog.Logger
	// hostOnly is --local-service=host: only this host is answered.
	hostOnly bool
	networks atomic.Pointer[[]netip.Prefix]
	warned   atomic.Bool
	dropped  atomic.Uint64
}

var _ listener.Splitter = (*Filter)(nil)

// New returns a filter before next. With hostOnly (--local-service=host) only this host is
// answered.
func New(next listener.Splitter, hostOnly bool, logger *slog.Logger) *Filter {
	return &Filter{next: next, hostOnly: hostOnly, logger: logger}
}

// Dropped returns how many queries were dropped.
func (s *Filter) Dropped() uint64 { return s.dropped.Load() }

// Handle implements [listener.Handler].
func (s *Filter) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	return s.handleFrom(s.next, packet, to, reply)
}

func (s *Filter) handleFrom(next listener.Handler, packet []byte, to listener.ReplyTo, reply []byte) []byte {
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
func (s *Filter) Split() listener.Worker {
	return &worker{Worker: s.next.Split(), service: s}
}

// worker is a Filter for one goroutine. Its Preview also shows what
// is then dropped.
type worker struct {
	listener.Worker
	service *Filter
}

// Handle implements [listener.Handler].
func (w *worker) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	return w.service.handleFrom(w.Worker, packet, to, reply)
}

// local reports whether an address is this host's or on a network of it.
func (s *Filter) local(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() {
		return true
	}
	networks := s.networks.Load()
	return networks != nil && slices.ContainsFunc(*networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// Refresh takes the networks that the interfaces are connected to now.
func (s *Filter) Refresh(interfaces func() (netif.List, error)) {
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
