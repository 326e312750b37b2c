package skydns

import (
	"hash/maphash"
	"math/rand/v2"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxTTL is the largest that RFC 2181 §8 allows.
const maxTTL = 1<<31 - 1

// answerInside answers a question about a name in the domain, which begins at
// offset at of the name. later: the answer leaves when Resolve calls back.
func (w *worker) answerInside(at int) (r result, later bool) {
	if w.q.Type == wire.TypeAXFR || w.q.Type == wire.TypeIXFR {
		w.b.SetAA(false)
		return result{rcode: wire.RcodeRefused, ede: wire.Extended(wire.EDEProhibited, "no zone transfer")}, false
	}
	if r, own := w.answerOwn(nil, maxTTL, w.name[:at]); own {
		return r, false
	}
	a := w.s.cfg.Backend.Records(w.name)
	if a.Status == treecache.Found && w.q.Type == wire.TypeANY {
		w.answerAny(nil)
		return r, false
	}
	return w.answerFrom(nil, maxTTL, a)
}

// answerFrom answers the question with what the backend told about owner,
// following external names. No TTL exceeds ttl. owner nil is the question's
// name. later: the answer leaves when Resolve calls back.
func (w *worker) answerFrom(owner []byte, ttl uint32, a treecache.Answer) (r result, later bool) {
	start := w.b.Mark()
	for {
		switch a.Status {
		case treecache.Found:
		case treecache.NoRecords:
			return w.negative(wire.RcodeSuccess), false
		case treecache.NoSuchName:
			return w.negative(wire.RcodeNXDomain), false
		default:
			w.b.Rollback(start)
			return w.notReady(r), false
		}
		if found, complete := w.appendRecords(owner, ttl, &a); found {
			switch {
			case !complete:
				r = w.tooLong(r)
			case a.Truncated: // a wildcard that matched more than any message holds
				r.extra = causeOverflow
			}
			return r, false
		}
		i, ok := w.follow(&a)
		if !ok {
			return w.negative(wire.RcodeSuccess), false
		}
		if w.chain.len() == maxChain {
			w.b.Rollback(start)
			return w.failed("too many CNAMEs"), false
		}
		record := a.At(i)
		ttl = min(ttl, record.TTL)
		target := w.chain.add(&record, ttl)
		if !w.b.NameRecord(owner, wire.TypeCNAME, ttl, target) {
			return w.tooLong(r), false
		}
		if w.q.Type == wire.TypeCNAME || w.chain.loops(w.name) {
			return r, false // of a loop, the names found are all there is to tell
		}
		owner = target
		w.target = dnsname.AppendLower(w.target[:0], target)
		at, inside := w.s.cutOwn(w.target)
		if !inside {
			return w.resolve(start, ttl)
		}
		if r, own := w.answerOwn(owner, ttl, w.target[:at]); own {
			return r, false
		}
		a = w.s.cfg.Backend.Records(w.target)
	}
}

// failed is SERVFAIL because another name could not be resolved.
func (w *worker) failed(why string) result {
	return result{rcode: wire.RcodeServFail, ede: wire.Extended(wire.EDEOther, why)}
}

// appendRecords appends the records of the type asked for, and reports whether
// there are any and whether all had room.
func (w *worker) appendRecords(owner []byte, ttl uint32, a *treecache.Answer) (found, complete bool) {
	switch w.q.Type {
	case wire.TypeA, wire.TypeAAAA:
		return w.appendAddrs(owner, ttl, a)
	case wire.TypeSRV:
		return w.appendServices(owner, ttl, a)
	}
	return false, true
}

// follow picks the record whose target the question is to be asked about
// instead. That is an external name, for every type; of several, which only a
// wildcard can find, a random one, because an owner has one CNAME. For
// addresses it is also the target of a port, as in upstream kube-dns, of several
// one that has such an address.
func (w *worker) follow(a *treecache.Answer) (index int, ok bool) {
	addresses := w.q.Type == wire.TypeA || w.q.Type == wire.TypeAAAA
	w.indices = w.indices[:0]
	aliases := false
	for i := range a.Len() {
		if a.Addr(i).IsValid() {
			continue
		}
		record := a.At(i)
		switch {
		case record.Alias && !aliases:
			aliases = true
			w.indices = append(w.indices[:0], i)
		case record.Alias, addresses && !aliases && record.HasTarget() && !record.Repeat && record.Port != 0:
			w.indices = append(w.indices, i)
		}
	}
	if len(w.indices) == 0 {
		return 0, false
	}
	first := startAt(len(w.indices))
	if !aliases {
		first = w.withAddress(a, first)
	}
	return w.indices[first], true
}

// maxTargets bounds the targets of a port that are looked at for an address.
const maxTargets = 64

// withAddress returns the place in w.indices, counted around from first, of a
// target that has an address of the family asked for: of a port's endpoints
// only some may be of that family. It returns first if none is found.
func (w *worker) withAddress(a *treecache.Answer, first int) int {
	n := len(w.indices)
	if n == 1 {
		return first
	}
	for k := range min(n, maxTargets) {
		at := (first + k) % n
		record := a.At(w.indices[at])
		w.target = record.AppendTarget(w.target[:0])
		target := w.s.cfg.Backend.Records(w.target)
		for i := range target.Len() {
			if isFamily(target.Addr(i), w.q.Type == wire.TypeAAAA) {
				return at
			}
		}
	}
	return first
}

// appendAddrs appends the addresses of the family asked for, beginning at a
// random one so that clients that take the first spread over all.
func (w *worker) appendAddrs(owner []byte, ttl uint32, a *treecache.Answer) (found, complete bool) {
	ttl = min(ttl, w.collectAddrs(a, w.q.Type == wire.TypeAAAA))
	list := w.addrs.list
	if len(list) == 0 {
		return false, true
	}
	first := startAt(len(list))
	for _, addr := range list[first:] {
		if !w.b.Addr(owner, ttl, addr) {
			return true, false
		}
	}
	for _, addr := range list[:first] {
		if !w.b.Addr(owner, ttl, addr) {
			return true, false
		}
	}
	return true, true
}

// startAt picks where the rotation of n records begins. A counter would not do:
// with A and AAAA asked in turn, each type would see every second value only.
func startAt(n int) int {
	if n == 1 {
		return 0
	}
	return int(rand.Uint32N(uint32(n)))
}

// appendServices appends SRV records, then the addresses of their targets as
// far as there is room.
func (w *worker) appendServices(owner []byte, ttl uint32, a *treecache.Answer) (found, complete bool) {
	w.indices = w.indices[:0]
	for i := range a.Len() {
		record := a.At(i)
		if record.HasTarget() && !record.Repeat && !record.Alias {
			w.indices = append(w.indices, i)
			ttl = min(ttl, record.TTL)
		}
	}
	n := len(w.indices)
	if n == 0 {
		return false, true
	}
	first := startAt(n)
	for k := range n {
		record := a.At(w.indices[(first+k)%n])
		w.target = record.AppendTarget(w.target[:0])
		if !w.b.SRV(owner, ttl, record.Priority, record.Weight, record.Port, w.target) {
			return true, false
		}
	}
	w.b.Open(wire.Additional)
	w.appendGlue(a, first)
	return true, true
}

// appendGlue appends the addresses of SRV targets, each target's once. What has
// no room is left out, a target's addresses whole: RFC 2181 §9 asks for no TC
// then.
func (w *worker) appendGlue(a *treecache.Answer, first int) {
	n := len(w.indices)
	w.seen.reset(n)
	for k := range n {
		i := w.indices[(first+k)%n]
		record := a.At(i)
		w.target = record.AppendTarget(w.target[:0])
		if n > 1 && !w.seen.add(maphash.Bytes(w.s.seed, w.target)) {
			continue
		}
		mark := w.b.Mark()
		if !w.appendTargetAddrs(a, i) {
			w.b.Rollback(mark)
			return
		}
	}
}

// appendTargetAddrs appends the addresses of record i's target, which is in
// w.target, and reports whether all had room.
func (w *worker) appendTargetAddrs(a *treecache.Answer, i int) bool {
	glue, ok := a.Glue(i)
	if !ok {
		if _, inside := w.s.cutOwn(w.target); !inside {
			return true
		}
		glue = w.s.cfg.Backend.Records(w.target)
	}
	if glue.Status != treecache.Found {
		return true
	}
	w.addrs.reset(glue.Len())
	for k := range glue.Len() {
		addr := glue.Addr(k)
		if !addr.IsValid() || !w.addrs.add(addr) {
			continue
		}
		if !w.b.Addr(w.target, glue.TTL(k), addr) {
			return false
		}
	}
	return true
}

// minTTL returns the smallest TTL in an answer.
func minTTL(a *treecache.Answer) uint32 {
	ttl := uint32(maxTTL)
	for i := range a.Len() {
		ttl = min(ttl, a.TTL(i))
	}
	return ttl
}
