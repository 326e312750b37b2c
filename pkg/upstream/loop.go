package upstream

import (
	"encoding/hex"
	"math/rand/v2"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Questions of loop detection are dnsmasq's: eight hexadecimal digits below
// "test", type TXT.
const (
	loopLabel = "\x08"
	loopZone  = "\x04test\x00"
	loopLen   = len(loopLabel) + 8 + len(loopZone)
)

// probeLoops sends a question of its own to each server for all names. Servers
// found to loop before are given another chance.
func (s *Set) probeLoops() {
	t := s.table.Load()
	if !s.cfg.Load().DetectLoops {
		return
	}
	for _, srv := range t.forAll() {
		number := rand.Uint32() | 1
		srv.loopProbe.Store(number)
		srv.looping.Store(false)
		name := append([]byte(nil), loopLabel...)
		name = hex.AppendEncode(name, []byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)})
		name = append(name, loopZone...)
		q := Question{Name: name, Type: wire.TypeTXT, Class: wire.ClassIN, Flags: wire.FlagRD}
		s.launch(t.all.group, srv, &q, s.now(), 0, nil)
	}
	s.Flush()
}

// forAll returns the servers for all names.
func (t *Table) forAll() []*server {
	if t.all == nil || t.all.group == nil {
		return nil
	}
	return t.all.group.servers
}

// Looped reports whether a client's question is one that this set asked to find
// loops. The server that it was sent to is then not asked any more. name is in
// wire form. Such a question is best not answered.
func (s *Set) Looped(name []byte, qtype uint16) bool {
	if qtype != wire.TypeTXT || len(name) != loopLen || !s.cfg.Load().DetectLoops ||
		string(name[:1]) != loopLabel || !wire.EqualNames(name[9:], []byte(loopZone)) {
		return false
	}
	var b [4]byte
	if _, err := hex.Decode(b[:], name[1:9]); err != nil {
		return false
	}
	number := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	for _, srv := range s.table.Load().forAll() {
		if srv.loopProbe.Load() == number {
			if !srv.looping.Swap(true) {
				s.tellLoop(srv)
			}
			return true
		}
	}
	return false
}

// tellLoop reports a server that is not asked any more.
func (s *Set) tellLoop(srv *server) {
	if tell := s.cfg.Load().OnLoop; tell != nil {
		tell(srv.spec.Addr)
		return
	}
	srv.log.Warn("query loop detected; not asking this server", "server", srv.spec.Addr.String())
}
