package listener

import (
	"errors"
	"net/netip"
	"slices"
)

// Update changes the served addresses to addrs, which must not have port 0. It closes
// the sockets of other addresses and binds new ones; sockets of addresses that remain
// are not affected. It returns the addresses that it added and removed. An address
// that cannot be bound is left out, and err joins an error for each. After Run has
// ended, Update does nothing.
func (s *Server) Update(addrs []netip.AddrPort) (added, removed []netip.AddrPort, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, nil
	}
	wanted := make([]netip.AddrPort, 0, len(addrs))
	for _, addr := range addrs {
		wanted = append(wanted, netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
	}
	for _, addr := range slices.Clone(s.addrs) {
		if !slices.Contains(wanted, addr) {
			s.closeAddress(addr)
			removed = append(removed, addr)
		}
	}
	for _, addr := range wanted {
		if slices.Contains(s.addrs, addr) {
			continue
		}
		udp, bindErr := s.bindAddress(addr)
		if bindErr != nil {
			err = errors.Join(err, bindErr)
			continue
		}
		added = append(added, addr)
		if s.launch != nil {
			s.launch(udp, s.listeners[len(s.listeners)-1])
		}
	}
	return added, removed, err
}

// closeAddress closes the sockets of an address. Open TCP connections are not
// affected. s.mu must be held.
func (s *Server) closeAddress(addr netip.AddrPort) {
	at := slices.Index(s.addrs, addr)
	_ = s.listeners[at].Close()
	s.listeners = slices.Delete(s.listeners, at, at+1)
	first := at * s.cfg.sockets
	for _, u := range s.udp[first : first+s.cfg.sockets] {
		u.close()
		u.stats.addTo(&s.retired)
	}
	s.udp = slices.Delete(s.udp, first, first+s.cfg.sockets)
	s.addrs = slices.Delete(s.addrs, at, at+1)
}
