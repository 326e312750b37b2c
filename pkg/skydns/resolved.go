package skydns

import (
	"hash/maphash"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Limits of the work that a reply from another server may cause. Whoever creates a Service
// chooses the name that is asked for, and may control the server that replies.
const (
	// maxAliases is how many CNAME records, including their signatures, the answer section of
	// a reply may have.
	maxAliases = 64
	// maxWork is the budget for names: each label that is read or written costs one, and each
	// name nameWork. Using all of it takes 0.1 ms. It is enough for every RRset without names
	// in its data, and for hundreds of names.
	maxWork  = 1 << 13
	nameWork = 8
)

// maxDNAMEs is how many DNAME records, including their signatures, of a reply are looked at.
const maxDNAMEs = 16

// alias is a CNAME or DNAME record, or the signature of one, in a reply from another server.
type alias struct {
	owner uint64 // hash of the owner
	rec   wire.Record
	used  bool
}

// copyResolved appends the records that belong to the last target of the chain, in whatever
// order the reply has them. It ignores what another server says about names in our domain: if
// a CNAME leads back into the domain, the rest is answered from the backend.
func (w *worker) copyResolved(start wire.Mark, p *pending, up *wire.Reply) result {
	w.work = maxWork
	if !w.readAliases(up) {
		return w.failed(start, "too many CNAMEs from upstream")
	}
	owner := append(make([]byte, 0, wire.MaxName), p.chain.at(p.chain.len()-1)...)
	ttl := p.ttl
	for w.q.Type != wire.TypeCNAME {
		w.target = dnsname.AppendLower(w.target[:0], owner)
		link := w.aliasOf(maphash.Bytes(w.s.seed, w.target))
		if link == nil {
			break
		}
		if link.used { // a loop: the names found are all there is to tell
			return result{}
		}
		link.used = true
		ttl = min(ttl, link.rec.TTL)
		if !w.copyAlias(up.Msg, link, owner, ttl) {
			return w.tooLong(result{})
		}
		owner, _, _ = wire.AppendName(owner[:0], up.Msg, link.rec.Data)
		w.target = dnsname.AppendLower(w.target[:0], owner)
		if z, at, inside := w.s.cutOwn(w.target); inside {
			w.zone = z
			r, own := w.answerOwn(owner, ttl, w.target[:at])
			if !own {
				r, _ = w.answerFrom(owner, ttl, z.backend.Records(w.target))
			}
			if r.rcode == wire.RcodeServFail {
				w.b.Rollback(start)
			}
			return r
		}
	}
	return w.copyRRset(start, up, owner, ttl)
}

// readAliases fills w.aliases with the aliases of the answer section and the first DNAME
// records. It returns false if there are too many aliases.
func (w *worker) readAliases(up *wire.Reply) bool {
	w.aliases, w.dnames = w.aliases[:0], 0
	var rec wire.Record
	for it := up.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		switch {
		case rec.Class != wire.ClassIN:
			continue
		case rec.Type == wire.TypeCNAME || w.signs(up.Msg, &rec, wire.TypeCNAME):
		case w.dnames < maxDNAMEs && (rec.Type == wire.TypeDNAME || w.signs(up.Msg, &rec, wire.TypeDNAME)):
			w.dnames++
		default:
			continue
		}
		hash, ok := w.hashName(up.Msg, rec.Owner)
		if len(w.aliases) == maxAliases || !ok {
			return false
		}
		w.aliases = append(w.aliases, alias{owner: hash, rec: rec})
	}
	return true
}

// signs reports whether rec is a signature of records of a type that the client
// wants.
func (w *worker) signs(msg []byte, rec *wire.Record, typ uint16) bool {
	return w.q.EDNS.DO && rec.Type == wire.TypeRRSIG && rec.End-rec.Data >= 2 &&
		uint16(msg[rec.Data])<<8|uint16(msg[rec.Data+1]) == typ
}

// aliasOf returns the CNAME record of an owner, nil if it has none.
func (w *worker) aliasOf(owner uint64) *alias {
	for i := range w.aliases {
		if a := &w.aliases[i]; a.owner == owner && a.rec.Type == wire.TypeCNAME {
			return a
		}
	}
	return nil
}

// copyAlias appends a CNAME record and its signatures, after the DNAME record from which it
// was synthesized (RFC 6672 §3.1), if there is one. It reports whether all of them fitted.
// w.target must be the owner in lower case.
func (w *worker) copyAlias(msg []byte, link *alias, owner []byte, ttl uint32) bool {
	if !w.copyDNAME(msg, ttl) || !w.b.CopyAs(owner, msg, &link.rec, ttl) {
		return false
	}
	for i := range w.aliases {
		a := &w.aliases[i]
		if a.owner == link.owner && w.signs(msg, &a.rec, wire.TypeCNAME) && !w.b.CopyAs(owner, msg, &a.rec, min(ttl, a.rec.TTL)) {
			return false
		}
	}
	return true
}

// copyDNAME appends the DNAME records above w.target and their signatures, if they have not
// been appended yet. It reports whether all of them fitted.
func (w *worker) copyDNAME(msg []byte, ttl uint32) bool {
	if w.dnames == 0 {
		return true
	}
	for at := int(w.target[0]) + 1; at < len(w.target)-1; at += int(w.target[at]) + 1 {
		if w.work--; w.work < 0 {
			return false
		}
		above := maphash.Bytes(w.s.seed, w.target[at:])
		for _, typ := range [...]uint16{wire.TypeDNAME, wire.TypeRRSIG} {
			for i := range w.aliases {
				a := &w.aliases[i]
				if a.owner != above || a.used || a.rec.Type != typ || typ == wire.TypeRRSIG && !w.signs(msg, &a.rec, wire.TypeDNAME) {
					continue
				}
				a.used = true
				if !w.mayCopy(msg, &a.rec) || !w.b.Copy(msg, &a.rec, min(ttl, a.rec.TTL)) {
					return false
				}
			}
		}
	}
	return true
}

// copyRRset appends the reply's records of the question's type for owner, and the records
// that belong to them: signatures, the addresses of SRV targets, or the SOA record that says
// how long to cache a negative answer.
func (w *worker) copyRRset(start wire.Mark, up *wire.Reply, owner []byte, ttl uint32) result {
	r := result{rcode: up.Rcode}
	match := ownerMatch{msg: up.Msg, name: owner, work: &w.work}
	answered := false
	as := owner
	var rec wire.Record
	for it := up.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		wanted := rec.Type == w.q.Type || w.q.Type == wire.TypeANY || w.signs(up.Msg, &rec, w.q.Type)
		if rec.Class != wire.ClassIN || !wanted || !match.equals(rec.Owner) {
			if w.work < 0 {
				return w.failed(start, "too many records from upstream")
			}
			continue
		}
		if !w.mayCopy(up.Msg, &rec) || !w.b.CopyAs(as, up.Msg, &rec, min(ttl, rec.TTL)) {
			return w.tooLong(r)
		}
		as = wire.SameOwner
		answered = answered || rec.Type == w.q.Type
	}
	if answered && w.q.Type == wire.TypeSRV {
		w.copyTargetAddrs(up)
	}
	if up.Truncated() {
		r = w.tooLong(r)
	}
	if soa, ok := up.SOA(owner); !answered && ok {
		w.b.Open(wire.Authority)
		w.b.Copy(up.Msg, &soa, soa.TTL)
	}
	return r
}

// mayCopy subtracts the cost of copying rec from the remaining work, and reports whether
// enough was left.
func (w *worker) mayCopy(msg []byte, rec *wire.Record) bool {
	names, size := rec.Names(), rec.End-rec.Data
	if names == 0 {
		return true
	}
	w.work -= nameWork + size/2 // a label takes two octets or more
	switch {
	case names > 1: // any of them may end with a pointer
		w.work -= names * dnsname.MaxLabels
	case size >= 2 && msg[rec.End-2]&0xc0 == 0xc0: // which may stand for a name of any length
		w.work -= labelsAt(msg, int(msg[rec.End-2])&0x3f<<8|int(msg[rec.End-1]))
	}
	return w.work >= 0
}

// labelsAt returns the number of labels of the name at offset off, at most as many as a name
// may have. off need not be valid.
func labelsAt(msg []byte, off int) int {
	for n := range dnsname.MaxLabels {
		for hops := 0; off+1 < len(msg) && msg[off]&0xc0 == 0xc0; hops++ {
			if hops == dnsname.MaxLabels {
				return hops
			}
			off = int(msg[off])&0x3f<<8 | int(msg[off+1])
		}
		if off >= len(msg) || msg[off] == 0 {
			return n
		}
		off += int(msg[off]) + 1
	}
	return dnsname.MaxLabels
}

// ownerMatch compares owner names of records with one name. It remembers where the last
// compression pointers led, so that repeated ones cost nothing.
type ownerMatch struct {
	msg, name    []byte
	work         *int // what may be spent
	equal, other int  // where the last pointers led to
}

// equals reports whether the name at offset off equals the given name.
func (m *ownerMatch) equals(off int) bool {
	to := 0
	if c := m.msg[off]; c&0xc0 == 0xc0 {
		to = int(c)&0x3f<<8 | int(m.msg[off+1])
		switch to {
		case m.equal:
			return true
		case m.other:
			return false
		}
	}
	if *m.work -= 1 + len(m.name)/16; *m.work < 0 {
		return false
	}
	if !wire.EqualNameAt(m.msg, off, m.name) {
		if to != 0 {
			m.other = to
		}
		return false
	}
	if to != 0 {
		m.equal = to
	}
	return true
}

// copyTargetAddrs appends the addresses that another server gives for the targets of its SRV
// answer, as far as there is room. It ignores addresses of names in our domain.
func (w *worker) copyTargetAddrs(up *wire.Reply) {
	w.seen.reset(wire.Count(up.Msg, wire.Answer))
	w.b.Open(wire.Additional)
	var rec wire.Record
	for it := up.Records(); it.Next(&rec); {
		switch {
		case rec.Class != wire.ClassIN:
		case rec.Section == wire.Answer && rec.Type == wire.TypeSRV:
			const beforeTarget = 6 // priority, weight, port
			if hash, ok := w.hashName(up.Msg, rec.Data+beforeTarget); ok {
				w.seen.insert(hash)
			}
		case rec.Section == wire.Additional && (rec.Type == wire.TypeA || rec.Type == wire.TypeAAAA):
			if hash, ok := w.hashName(up.Msg, rec.Owner); !ok || !w.seen.has(hash) {
				continue
			}
			if _, _, inside := w.s.cutOwn(w.target); inside {
				continue
			}
			if !w.b.Copy(up.Msg, &rec, rec.TTL) {
				return
			}
		}
	}
}

// hashName copies the name at offset off of msg into w.target in lower case, and returns its
// hash. It returns false if the budget for names is used up.
func (w *worker) hashName(msg []byte, off int) (hash uint64, ok bool) {
	if w.work < 0 {
		return 0, false
	}
	name, _, ok := wire.AppendName(w.target[:0], msg, off)
	if !ok {
		return 0, false
	}
	w.work -= nameWork + len(name)/4
	w.target = dnsname.AppendLower(name[:0], name)
	return maphash.Bytes(w.s.seed, w.target), true
}
