package answercache

import (
	"encoding/binary"
	"sync"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxScratch is the largest buffer that scratch keeps for the next answer.
const maxScratch = 8 << 10

// scratch is the scratch memory for making one entry. Only the goroutine that took it from
// Cache.pool uses it.
type scratch struct {
	q       wire.Query   // a copy: with a pointer, the callers' value would be heap-allocated
	r       wire.Reply   // a copy of the reply to store
	msg     wire.Reply   // the message that builder has built
	builder wire.Builder // writes the message to store
	chain   wire.Chain   // finds the records that answer the question
	chosen  []choice     // the records to store, in order
	offsets []uint16     // the offsets of the TTLs in msg
	buf     []byte       // the memory of msg; at most maxScratch octets are kept
	hint    []byte       // the hint passed to Store
	// chosen[finalStart:finalEnd] are the records that the question asked for.
	finalStart, finalEnd int
}

// choice is a record to be stored.
type choice struct {
	rec wire.Record
	ttl uint32 // the TTL to store, in seconds
}

// definitive reports whether r is a valid answer to q's question, positive or negative.
func definitive(q *wire.Query, r *wire.Reply) bool {
	return q.Class == wire.ClassIN && r.Answers(q) && wire.Opcode(r.Flags) == wire.OpcodeQuery &&
		(r.Rcode == wire.RcodeSuccess || r.Rcode == wire.RcodeNXDomain)
}

// storable reports whether r, which is definitive, is of a kind that may be stored.
func storable(q *wire.Query, r *wire.Reply) bool {
	meta := q.Type == 0 || q.Type == wire.TypeOPT || q.Type >= wire.TypeTKEY && q.Type < wire.TypeANY // RFC 6895 §3.1
	return !meta && !scoped(r) && !r.Truncated()
}

// scoped reports whether r is meant for only some of the clients (RFC 7871 §7.3.1).
func scoped(r *wire.Reply) bool {
	const scopeAt = 3 // family, source prefix length, scope prefix length
	data, ok := wire.Option(r.EDNS.Options, wire.OptionECS)
	return ok && (len(data) <= scopeAt || data[scopeAt] != 0)
}

func (s *scratch) reset(q *wire.Query, r *wire.Reply) {
	s.q, s.r = *q, *r
	s.chosen = s.chosen[:0]
}

// release removes references to the caller's memory from s and returns s to pool.
func (s *scratch) release(pool *sync.Pool) {
	s.q, s.r, s.msg, s.hint = wire.Query{}, wire.Reply{}, wire.Reply{}, nil
	pool.Put(s)
}

// choose selects the records that answer the question, in the order in which clients read
// them: each alias, then the records that were asked for, or the SOA record of a negative
// answer. It returns false if there is nothing to store.
func (s *scratch) choose(cfg *Config) bool {
	chain := &s.chain
	chain.Signatures = s.q.EDNS.DO
	chain.Follow(&s.r, s.q.Type)
	for i := range chain.Records {
		rec := &chain.Records[i]
		s.chosen = append(s.chosen, choice{*rec, rec.TTL})
	}
	s.finalStart, s.finalEnd = chain.Final, max(chain.Final, chain.FinalEnd)
	final := s.chosen[s.finalStart:s.finalEnd]
	switch {
	case chain.Broken:
		return false
	case len(final) == 0:
		return s.chooseNegative(chain.End, cfg)
	case s.r.Rcode != wire.RcodeSuccess:
		return false
	case s.q.Type != wire.TypeANY:
		oneTTL(final)
	}
	return s.chooseProofs()
}

// oneTTL sets all TTLs of an RRset and its signatures to the smallest one (RFC 2181 §5.2).
func oneTTL(set []choice) {
	least := ^uint32(0)
	for i := range set {
		least = min(least, set[i].ttl)
	}
	for i := range set {
		set[i].ttl = least
	}
}

// chooseProofs selects the records with which a validating client can prove an answer. It
// returns true.
func (s *scratch) chooseProofs() bool {
	var rec wire.Record
	for it := s.r.Records(); s.q.EDNS.DO && it.Next(&rec); {
		if rec.Proves() {
			s.chosen = append(s.chosen, choice{rec, rec.TTL})
		}
	}
	return true
}

// chooseNegative selects the SOA record for the negative answer about name, the end of the
// CNAME chain. name must be in the zone of the SOA record. It returns false if the answer must
// not be stored.
func (s *scratch) chooseNegative(name []byte, cfg *Config) bool {
	if cfg.NoNegative {
		return false
	}
	if soa, ok := s.r.SOA(name); ok && soa.Class == wire.ClassIN {
		s.chosen = append(s.chosen, choice{soa, min(soa.TTL, maxNegativeTTL)})
		return s.chooseProofs()
	}
	return storedTTL(cfg.NegativeTTL, cfg) > 0
}

// clamp applies the limits to every TTL and returns the entry's lifetime in seconds. It is the
// smallest TTL, because an answer is only complete with all its records.
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

// entry builds the entry. ok is false if the records do not fit into a message, which hardly
// ever happens, because they come from a message.
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
	hint := s.hint
	if e.flags&kindNX == 0 || len(hint) == 0 || len(hint)+len(msg) > wire.MaxMessage {
		hint = nil
	} else {
		e.flags |= kindHinted
		e.turnAt, e.turnCount = uint16(len(msg)-start), 1
	}
	octets := e.makeRoom(int(e.keyLen) + 2*len(s.offsets) + len(msg) - start + len(hint))
	AppendKey(octets[:0], &s.q)
	at := int(e.keyLen)
	for _, off := range s.offsets {
		binary.BigEndian.PutUint16(octets[at:], off-uint16(start))
		at += 2
	}
	copy(octets[at+copy(octets[at:], msg[start:]):], hint)
	return e, true
}

// findTurning sets which addresses of e rotate at each hit. These are the records that the
// question asked for, if they are addresses, stand one after the other and have equal sizes.
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
