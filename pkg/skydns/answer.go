package skydns

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxTTL is the largest TTL that RFC 2181 §8 allows, in seconds.
const maxTTL = 1<<31 - 1

// answerInside answers a question about a name in w.zone. The zone begins at offset at of the
// name. If later is true, there is no answer yet: it is sent when Resolve calls back.
func (w *worker) answerInside(at int) (r result, later bool) {
	if w.q.Type == wire.TypeAXFR || w.q.Type == wire.TypeIXFR {
		w.b.SetAA(false)
		return result{rcode: wire.RcodeRefused, ede: wire.Extended(wire.EDEProhibited, "no zone transfer")}, false
	}
	if r, own := w.answerOwn(nil, maxTTL, w.name[:at]); own {
		return r, false
	}
	a := w.zone.backend.Records(w.name)
	if a.Status == treecache.Found && w.q.Type == wire.TypeANY {
		w.answerAny(nil)
		return r, false
	}
	return w.answerFrom(nil, maxTTL, a)
}

// answerFrom answers the question with a, what the backend returned for owner, and follows
// external names. owner nil means the question's name. No TTL in the answer exceeds ttl. If
// later is true, there is no answer yet: it is sent when Resolve calls back.
func (w *worker) answerFrom(owner []byte, ttl uint32, a treecache.Answer) (r result, later bool) {
	start := w.b.Mark()
	for {
		switch {
		case a.Status == treecache.Found:
		case a.Truncated:
			return w.tooWide(start), false
		case a.Status == treecache.NoRecords:
			return w.negative(wire.RcodeSuccess), false
		case a.Status == treecache.NoSuchName && owner == nil:
			return w.noSuchName(), false
		case a.Status == treecache.NoSuchName:
			return w.negative(wire.RcodeNXDomain), false
		default:
			w.b.Rollback(start)
			return w.notReady(r), false
		}
		if found, complete := w.appendRecords(owner, ttl, &a); found {
			switch {
			case !complete:
				r = w.tooLong(r)
				w.reportLarge(&a)
			case a.Truncated: // a wildcard that stands for more than may be looked at
				r.extra = causeOverflow
			}
			return r, false
		}
		record, ok := w.follow(&a)
		switch {
		case ok:
		case a.Truncated:
			return w.tooWide(start), false
		default:
			return w.negative(wire.RcodeSuccess), false
		}
		if w.chain.len() == maxChain {
			return w.failed(start, "too many CNAMEs"), false
		}
		ttl = min(ttl, record.TTL)
		target := w.chain.appendTarget(&record, ttl)
		if !w.b.NameRecord(owner, wire.TypeCNAME, ttl, target) {
			return w.tooLong(r), false
		}
		if w.q.Type == wire.TypeCNAME || w.chain.loops(w.name) {
			return r, false // of a loop, the names found are all there is to tell
		}
		owner = target
		w.target = dnsname.AppendLower(w.target[:0], target)
		z, at, inside := w.s.cutOwn(w.target)
		if !inside {
			return w.resolve(start, ttl)
		}
		w.zone = z
		if r, own := w.answerOwn(owner, ttl, w.target[:at]); own {
			return r, false
		}
		a = z.backend.Records(w.target)
	}
}

// failed answers SERVFAIL because another name could not be resolved. It removes the part of
// the answer after start, and clears AA, because a failure is not an authoritative answer.
func (w *worker) failed(start wire.Mark, why string) result {
	w.b.Rollback(start)
	w.b.SetAA(false)
	return result{rcode: wire.RcodeServFail, ede: wire.Extended(wire.EDEOther, why)}
}

// tooWide answers a wildcard question for which nothing was found in the part of the cluster
// that may be searched. NXDOMAIN would be a guess.
func (w *worker) tooWide(start wire.Mark) result {
	return w.failed(start, "wildcard stands for too many names")
}

// appendRecords appends the records of the question's type, and reports whether there are any
// and whether all of them fitted.
func (w *worker) appendRecords(owner []byte, ttl uint32, a *treecache.Answer) (found, complete bool) {
	switch w.q.Type {
	case wire.TypeA, wire.TypeAAAA:
		if !a.AtNode() {
			return w.appendAddrs(owner, ttl, a, w.q.Type == wire.TypeAAAA)
		}
	case wire.TypeSRV:
		return w.appendServices(owner, ttl, a)
	}
	return false, true
}

// follow returns the record whose target must be looked up in place of the question's name.
// For every type, this is an external name. A wildcard may find several; then it is a random
// one, because an owner name can have only one CNAME. For addresses, it may also be the
// record of a port, whose target is the Service, as in kube-dns.
func (w *worker) follow(a *treecache.Answer) (record treecache.Record, ok bool) {
	if n := a.Aliases(); n > 0 {
		return a.Alias(startAt(n)), true
	}
	if a.AtNode() && (w.q.Type == wire.TypeA || w.q.Type == wire.TypeAAAA) {
		return a.At(0), true
	}
	return treecache.Record{}, false
}

// maxSteps bounds how many addresses are looked at for one answer: each address that a
// message can hold may occur twice.
const maxSteps = 1 << 13

// appendAddrs appends the addresses of a family until the reply is full. It begins at a
// random one, so that clients that use the first address are spread over all of them.
func (w *worker) appendAddrs(owner []byte, ttl uint32, a *treecache.Answer, v6 bool) (found, complete bool) {
	few, ok := a.AppendFew(w.few[:0], v6)
	w.few = few
	if ok {
		return w.appendFew(owner, min(ttl, a.TTL()), few)
	}
	walk := a.Addrs(v6)
	n := walk.Len()
	if n == 0 {
		return false, true
	}
	ttl = min(ttl, a.TTL())
	if n > 1 {
		walk.StartAt(startAt(n))
	}
	distinct := walk.Distinct()
	if !distinct {
		w.addrs.reset(min(n, maxSteps))
	}
	first := true
	for range maxSteps {
		addr, ok := walk.Next()
		switch {
		case !ok:
			return true, true
		case !distinct && !w.addrs.insertAddr(w.s.seed, addr):
		case first && !w.b.Addr(owner, ttl, addr), !first && !w.b.AddrAgain(addr):
			return true, false
		default:
			first = false
		}
	}
	a.Truncated = true // a wildcard that has found the same addresses again and again
	return true, true
}

// appendFew appends the addresses of a small Service, beginning at a random one.
func (w *worker) appendFew(owner []byte, ttl uint32, addrs []netip.Addr) (found, complete bool) {
	if len(addrs) == 0 {
		return false, true
	}
	first := startAt(len(addrs))
	for _, part := range [...][]netip.Addr{addrs[first:], addrs[:first]} {
		for _, addr := range part {
			if !w.b.Addr(owner, ttl, addr) {
				return true, false
			}
		}
	}
	return true, true
}

// startAt returns where the rotation of n records begins. It is random, because with a
// counter a client that asks for A and AAAA in turn would get only every second value for
// each type.
func startAt(n int) int {
	if n == 1 {
		return 0
	}
	return int(rand.Uint32N(uint32(n)))
}

// appendServices appends SRV records until the reply is full, then the
// addresses of their targets as far as there is room.
func (w *worker) appendServices(owner []byte, ttl uint32, a *treecache.Answer) (found, complete bool) {
	ttl = min(ttl, a.TTL())
	walk := a.Services(startAt(a.Len()))
	again := walk
	n := 0
	for record := &w.record; walk.Next(record); n++ {
		w.target = record.AppendTarget(w.target[:0])
		if !w.b.SRV(owner, ttl, wire.SRV{Priority: record.Priority, Weight: record.Weight, Port: record.Port, Target: w.target}) {
			return true, false
		}
		if owner != nil {
			owner = wire.SameOwner
		}
	}
	if n > 0 {
		w.b.Open(wire.Additional)
		w.appendGlue(again, n)
	}
	return n > 0, true
}

// appendGlue appends the addresses of the targets of the first n services, each target's
// once. A target whose addresses do not all fit is left out; RFC 2181 §9 does not require TC
// for that.
func (w *worker) appendGlue(walk treecache.Services, n int) {
	if n > 1 {
		w.seen.reset(n)
	}
	record := &w.record
	for i := 0; i < n && walk.Next(record); i++ {
		w.target = record.AppendTarget(w.target[:0])
		if n > 1 && !w.seen.insert(maphash.Bytes(w.s.seed, w.target)) {
			continue
		}
		mark := w.b.Mark()
		if !w.appendTargetAddrs(&walk) {
			w.b.Rollback(mark)
			return
		}
	}
}

// appendTargetAddrs appends the addresses of the target of the last service,
// which is in w.target, and reports whether all had room.
func (w *worker) appendTargetAddrs(walk *treecache.Services) bool {
	if addr, ttl, ok := walk.OneAddr(); ok {
		return w.b.Addr(w.target, ttl, addr)
	}
	glue, ok := walk.Glue()
	if !ok {
		z, _, inside := w.s.cutOwn(w.target)
		if !inside {
			return true
		}
		glue = z.backend.Records(w.target)
	}
	owner := w.target
	for _, v6 := range [...]bool{false, true} {
		addrs := glue.Addrs(v6)
		const least = 16 // octets of a record
		distinct := addrs.Distinct()
		switch n := addrs.Len(); {
		case n == 0:
			continue
		case n > maxSteps, distinct && n*least > w.b.Room():
			return false
		case !distinct:
			w.addrs.reset(n)
		}
		ttl := glue.TTL()
		for addr, ok := addrs.Next(); ok; addr, ok = addrs.Next() {
			if !distinct && !w.addrs.insertAddr(w.s.seed, addr) {
				continue
			}
			if !w.b.Addr(owner, ttl, addr) {
				return false
			}
			owner = wire.SameOwner
		}
	}
	return true
}
