package upstream

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The questions of loop detection look like dnsmasq's: type TXT, with a hexadecimal number as
// a label below "test". The number has 128 random bits, so that no client can guess it and
// make a server appear to loop.
const (
	loopDigits = 2 * len(policy.Probe{})
	loopLabel  = "\x20"
	loopZone   = "\x04test\x00"
	loopLen    = len(loopLabel) + loopDigits + len(loopZone)
)

// checkLoops schedules a probe of each server for all names, or ends the search for loops if
// the configuration does not ask for it.
func (s *Set) checkLoops() {
	now := policy.Time(s.now())
	on := s.cfg.Load().DetectLoops
	s.health.Lock()
	defer s.health.Unlock()
	for _, srv := range s.serversForAll() {
		if on {
			srv.health.CheckLoop(now)
		} else {
			srv.health.ForgetLoop()
		}
	}
}

// probeLoops sends a unique question to each server for all names whose probe is due.
func (s *Set) probeLoops() {
	if !s.cfg.Load().DetectLoops {
		return
	}
	group, ok := s.Table().ForAll()
	if !ok {
		return
	}
	for i, srv := range group.servers {
		now := s.now()
		var number policy.Probe
		_, _ = rand.Read(number[:]) // never fails, it aborts the program
		s.health.Lock()
		due := srv.health.LoopDue(policy.Time(now))
		if due {
			srv.health.ExpectLoop(policy.Time(now), number)
		}
		s.health.Unlock()
		if !due {
			continue
		}
		name := append([]byte(nil), loopLabel...)
		name = hex.AppendEncode(name, number[:])
		name = append(name, loopZone...)
		q := Question{Name: name, Type: wire.TypeTXT, Class: wire.ClassIN, Flags: wire.FlagRD}
		s.launch(group, &q, policy.Start{Purpose: policy.LoopProbing, Only: i}, nil)
	}
	s.Flush()
}

// serversForAll returns the servers for names without a route of their own.
func (s *Set) serversForAll() []*server {
	if g, ok := s.Table().ForAll(); ok {
		return g.servers
	}
	return nil
}

// Looped reports whether a client's question is one that this set sent to detect loops. If it
// is, the server that it was sent to is no longer used, and the caller should not answer the
// question. name is in wire form.
func (s *Set) Looped(name []byte, qtype uint16) bool {
	if qtype != wire.TypeTXT || len(name) != loopLen || !s.cfg.Load().DetectLoops ||
		string(name[:1]) != loopLabel || !wire.EqualNames(name[1+loopDigits:], []byte(loopZone)) {
		return false
	}
	var number policy.Probe
	if _, err := hex.Decode(number[:], name[1:1+loopDigits]); err != nil {
		return false
	}
	now := policy.Time(s.now())
	for _, srv := range s.serversForAll() {
		s.health.Lock()
		mine, news := srv.health.LoopCameBack(now, number)
		s.health.Unlock()
		if mine {
			if news {
				s.tellLoop(srv)
			}
			return true
		}
	}
	return false
}

// tellLoop reports that a server loops and is no longer used.
func (s *Set) tellLoop(srv *server) {
	cfg := s.cfg.Load()
	if cfg.OnLoop != nil {
		cfg.OnLoop(srv.spec.Addr)
		return
	}
	cfg.Logger.Warn("query loop detected; not asking this server", "server", srv.label())
}
