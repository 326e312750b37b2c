package answercache

import (
	"encoding/binary"
	"sync"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxLinks bounds the CNAMEs between a question and its answer. A loop reaches
// it too.
const maxLinks = 16

// maxScratch is the largest buffer that scratch keeps for the next answer.
const maxScratch = 8 << 10

// scratch is the working space for making one entry.
type scratch struct {
	q       wire.Query // by value: pointers here would make the callers' escape
	r       wire.Reply
	msg     wire.Reply // the message built
	builder wire.Builder
	chosen  []choice
	offsets []uint16
	buf     []byte
	name    [2 * wire.MaxName]byte // the chain's end, and the next one
	// The records that the question asked for, within chosen.
	finalStart, finalEnd int
}

// choice is a record to be stored.
type choice struct {
	rec wire.Record
	ttl uint32
}

// definitive reports whether r says what is true of q's question now.
func definitive(q *wire.Query, r *wire.Reply) bool {
	return q.Class == wire.ClassIN && r.Answers(q) && wire.Opcode(r.Flags) == wire.OpcodeQuery &&
		(r.Rcode == wire.RcodeSuccess || r.Rcode == wire.RcodeNXDomain)
}

// storable reports whether r, which is definitive, may be looked at for storing
// at all.
func storable(q *wire.Query, r *wire.Reply) bool {
	switch {
	case r.Truncated(), scoped(r):
		return false
	case q.Type == 0, q.Type == wire.TypeOPT, q.Type >= wire.TypeTKEY && q.Type < wire.TypeANY:
		return false // RFC 6895 §3.1: meta types
	}
	return true
}

// scoped reports whether r is meant for some clients only, RFC 7871 §7.3.1.
func scoped(r *wire.Reply) bool {
	const scopeAt = 3 // family, source prefix length, scope prefix length
	data, ok := wire.Option(r.EDNS.Options, wire.OptionECS)
	return ok && (len(data) <= scopeAt || data[scopeAt] != 0)
}

func (s *scratch) reset(q *wire.Query, r *wire.Reply) {
	s.q, s.r = *q, *r
	s.chosen = s.chosen[:0]
}

// release gives s back without the caller's memory.
func (s *scratch) release(pool *sync.Pool) {
	s.q, s.r, s.msg = wire.Query{}, wire.Reply{}, wire.Reply{}
	pool.Put(s)
}

// choose picks the records that answer the question, in the order in which
// they are read: each CNAME of the chain, then the records asked for, or the
// SOA of a negative answer. It reports false when there is nothing to store.
func (s *scratch) choose(cfg *Config) bool {
	name := wire.AppendLower(s.name[:0], s.q.Name)
	for links := 0; ; links++ {
		s.finalStart = len(s.chosen)
		if s.chooseFinal(name) {
			s.finalEnd = len(s.chosen)
			return s.r.Rcode == wire.RcodeSuccess && s.chooseProofs()
		}
		if s.q.Type == wire.TypeCNAME || s.q.Type == wire.TypeANY {
			break
		}
		next, ok, bad := s.chooseLink(name)
		if bad || ok && links == maxLinks {
			return false
		}
		if !ok {
			break
		}
		name = append(s.name[:0], next...)
	}
	s.finalStart = len(s.chosen)
	s.finalEnd = s.finalStart
	return s.chooseNegative(name, cfg)
}

// add picks a record with its own TTL.
func (s *scratch) add(rec *wire.Record) { s.chosen = append(s.chosen, choice{*rec, rec.TTL}) }

// chooseFinal picks the records at name that the question asked for, and
// their signatures, and reports whether there were any. A set of records gets
// the smallest TTL in it, RFC 2181 §5.2.
func (s *scratch) chooseFinal(name []byte) bool {
	var (
		rec   wire.Record
		start = len(s.chosen)
		least = ^uint32(0)
	)
	for it := s.r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Class == wire.ClassIN && (rec.Type == s.q.Type || s.q.Type == wire.TypeANY) && wire.EqualNameAt(s.r.Msg, rec.Owner, name) {
			s.add(&rec)
			least = min(least, rec.TTL)
		}
	}
	if len(s.chosen) == start {
		return false
	}
	if s.q.Type != wire.TypeANY {
		s.chooseSignatures(name, s.q.Type)
		for i := range s.chosen[start:] {
			s.chosen[start+i].ttl = min(least, s.chosen[start+i].ttl)
		}
	}
	return true
}

// chooseLink picks the CNAME at name, and a DNAME above it of which it was
// made (RFC 6672 §3.1), and returns the name that it leads to, which stays
// valid until the next call. bad: several CNAMEs, which RFC 2181 §10.1 forbids.
func (s *scratch) chooseLink(name []byte) (next []byte, ok, bad bool) {
	var rec, link wire.Record
	for it := s.r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Type != wire.TypeCNAME || rec.Class != wire.ClassIN || !wire.EqualNameAt(s.r.Msg, rec.Owner, name) {
			continue
		}
		if ok {
			return nil, false, true
		}
		link, ok = rec, true
	}
	if !ok {
		return nil, false, false
	}
	next, _, _ = wire.AppendCanonicalName(s.name[wire.MaxName:wire.MaxName], s.r.Msg, link.Data)
	for it := s.r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Type == wire.TypeDNAME && rec.Class == wire.ClassIN && s.redirects(&rec, name, next) {
			s.add(&rec)
		}
	}
	s.add(&link)
	s.chooseSignatures(name, wire.TypeCNAME)
	return next, true, false
}

// redirects reports whether the DNAME rec makes target of name, which is below
// its owner (RFC 6672 §2.2). Any other DNAME would speak of other names.
func (s *scratch) redirects(rec *wire.Record, name, target []byte) bool {
	var buf, made [2 * wire.MaxName]byte
	owner, _, _ := wire.AppendName(buf[:0], s.r.Msg, rec.Owner)
	if len(owner) >= len(name) || !wire.HasSuffix(name, owner) {
		return false
	}
	expected, _, _ := wire.AppendName(append(made[:0], name[:len(name)-len(owner)]...), s.r.Msg, rec.Data)
	return wire.EqualNames(expected, target)
}

// chooseSignatures picks the RRSIGs of a set of records, for askers that want
// them.
func (s *scratch) chooseSignatures(name []byte, covered uint16) {
	if !s.q.EDNS.DO || covered == wire.TypeRRSIG {
		return
	}
	var rec wire.Record
	for it := s.r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Type == wire.TypeRRSIG && rec.Class == wire.ClassIN &&
			binary.BigEndian.Uint16(s.r.Msg[rec.Data:]) == covered && wire.EqualNameAt(s.r.Msg, rec.Owner, name) {
			s.add(&rec)
		}
	}
}

// chooseProofs picks what proves an answer to a validating asker: NSEC, NSEC3
// and their signatures (RFC 4035 §3.1.3). It reports true.
func (s *scratch) chooseProofs() bool {
	if !s.q.EDNS.DO {
		return true
	}
	var rec wire.Record
	for it := s.r.Records(); it.Next(&rec); {
		if rec.Section == wire.Authority && rec.Class == wire.ClassIN &&
			(rec.Type == wire.TypeNSEC || rec.Type == wire.TypeNSEC3 || rec.Type == wire.TypeRRSIG) {
			s.add(&rec)
		}
	}
	return true
}

// chooseNegative picks the SOA for the negative answer about name, the end of
// the chain, whose zone must hold that name.
func (s *scratch) chooseNegative(name []byte, cfg *Config) bool {
	if cfg.NoNegative {
		return false
	}
	if soa, minimum, ok := s.r.SOA(name); ok && soa.Class == wire.ClassIN {
		s.chosen = append(s.chosen, choice{soa, negativeTTL(soa.TTL, minimum)})
		return s.chooseProofs()
	}
	return cfg.NegativeTTL > 0
}

// clamp applies the limits to every TTL and returns the entry's life: the
// smallest of them, for an answer is whole or it is not.
func (s *scratch) clamp(cfg *Config) uint32 {
	life := ^uint32(0)
	soa := false
	for i := range s.chosen {
		c := &s.chosen[i]
		c.ttl = storedTTL(c.ttl, cfg)
		life = min(life, c.ttl)
		soa = soa || c.rec.Section == wire.Authority && c.rec.Type == wire.TypeSOA
	}
	if s.finalStart == s.finalEnd && !soa {
		life = min(life, storedTTL(cfg.NegativeTTL, cfg))
	}
	if cfg.MaxCacheTTL == 0 {
		life = min(life, maxLife)
	}
	return life
}

// entry builds what is stored. ok is false when the records do not fit a
// message, which those of a message can hardly cause.
func (s *scratch) entry(cfg *Config) (e *entry, ok bool) {
	question := wire.Query{Name: s.q.Name, Type: s.q.Type, Class: s.q.Class}
	s.builder.Start(s.buf[:0], &question, wire.MaxMessage)
	for i := range s.chosen {
		c := &s.chosen[i]
		s.builder.Open(c.rec.Section)
		if !s.builder.Copy(s.r.Msg, &c.rec, c.ttl) {
			return nil, false
		}
	}
	msg := s.builder.Finish(wire.OPT{})
	if cap(msg) <= maxScratch {
		s.buf = msg
	}
	if !wire.ParseReply(msg, &s.msg) {
		return nil, false
	}
	e = &entry{
		flags:     uint16(s.r.Rcode)&rcodeMask | s.r.Flags&wire.FlagAD,
		answers:   uint16(wire.Count(msg, wire.Answer)),
		authority: uint16(wire.Count(msg, wire.Authority)),
		keyLen:    uint16(keyLen(&s.q)),
	}
	if s.r.Rcode == wire.RcodeNXDomain && e.answers == 0 {
		e.flags |= kindNX
	}
	if cfg.RoundRobin {
		s.findTurning(e)
	}
	start := s.msg.QuestionEnd
	s.offsets = s.msg.AppendTTLOffsets(s.offsets[:0])
	octets := e.makeRoom(int(e.keyLen) + 2*len(s.offsets) + len(msg) - start)
	AppendKey(octets[:0], &s.q)
	at := int(e.keyLen)
	for _, off := range s.offsets {
		binary.BigEndian.PutUint16(octets[at:], off-uint16(start))
		at += 2
	}
	copy(octets[at:], msg[start:])
	return e, true
}

// findTurning notes the addresses that turn at each hit: the records asked for,
// when they are addresses that follow each other in equal size.
func (s *scratch) findTurning(e *entry) {
	if s.q.Type != wire.TypeA && s.q.Type != wire.TypeAAAA {
		return
	}
	var rec wire.Record
	it := s.msg.Records()
	start, size, count := 0, 0, 0
	for i := 0; it.Next(&rec) && i < s.finalEnd; i++ {
		if i < s.finalStart || rec.Type != s.q.Type {
			continue
		}
		if count == 0 {
			start, size = rec.Owner, rec.End-rec.Owner
		}
		if rec.End-rec.Owner != size || rec.Owner != start+count*size {
			return
		}
		count++
	}
	if count > 1 && size <= 0xff {
		e.turnAt, e.turnCount, e.turnSize = uint16(start-s.msg.QuestionEnd), uint16(count), uint8(size)
	}
}
