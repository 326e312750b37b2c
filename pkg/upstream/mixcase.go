package upstream

import (
	"math/bits"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The case of letters in a question is drawn at random, and a reply has to
// repeat it: one more thing that a forger has to guess
// (draft-vixie-dnsext-dns0x20, dnsmasq's --do-0x20-encode).

// maxMiscased is how many replies in a row may spell their question otherwise
// until the server counts as one that cannot help it.
const maxMiscased = 2

// mixCase changes the case of the letters of a wire name for which mix has a
// bit, beginning anew after 64 letters.
func mixCase(name []byte, mix uint64) {
	left := 0 // of the label
	for i, c := range name {
		if left == 0 {
			left = int(c)
			continue
		}
		left--
		if letter(c) {
			name[i] = c ^ byte(mix&1)<<5
			mix = bits.RotateLeft64(mix, -1)
		}
	}
}

// mixedAs reports whether got is name as mixCase changes it.
func mixedAs(got, name []byte, mix uint64) bool {
	left := 0
	for i, c := range name {
		if left == 0 {
			left = int(c)
		} else if left--; letter(c) {
			c ^= byte(mix&1) << 5
			mix = bits.RotateLeft64(mix, -1)
		}
		if got[i] != c {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// spelled reports whether a reply that matches a repeats the case that was
// sent. A reply without a question has none.
func (a *attempt) spelled(msg []byte) bool {
	n := wire.HeaderLen + a.ex.nlen
	return !a.mixed || wire.Count(msg, wire.Question) == 0 || mixedAs(msg[wire.HeaderLen:n], a.ex.name[:a.ex.nlen], a.mix)
}

// asAsked gives the question of a reply to a the spelling that was asked for.
func (a *attempt) asAsked(msg []byte) {
	if a.mixed && wire.Count(msg, wire.Question) == 1 {
		copy(msg[wire.HeaderLen:], a.ex.name[:a.ex.nlen])
	}
}

// ownersAsAsked does the same for the owners of records that are written in
// full. It reports whether it changed r.Msg, which then has to be read anew:
// other names may point into what was changed.
func (a *attempt) ownersAsAsked(r *wire.Reply) (changed bool) {
	if !a.mixed {
		return false
	}
	name := a.ex.name[:a.ex.nlen]
	var rec wire.Record
	for it := r.Records(); it.Next(&rec); {
		// Only an owner in full takes so many octets before its type.
		if rec.TTLAt-4-rec.Owner != len(name) {
			continue
		}
		owner := r.Msg[rec.Owner : rec.Owner+len(name)]
		if string(owner) != string(name) && wire.EqualNames(owner, name) {
			copy(owner, name)
			changed = true
		}
	}
	return changed
}

// mixes reports whether s is asked with mixed case now.
func (s *server) mixes(now int64) bool {
	until := s.asIsUntil.Load()
	return until == 0 || now >= until
}

// miscased goes on after a reply to a that is right but for its question's
// case. It may be forged, so it is waited past; the question is asked once more
// at once, because it may also be from a server that always answers in lower
// case. Such a one is found out soon, and asked without.
func (s *Set) miscased(a *attempt, now int64) {
	srv, ex := a.srv, a.ex
	srv.counters.miscased.Add(1)
	if n := srv.miscasedRun.Add(1); n >= maxMiscased && srv.mixes(now) {
		srv.asIsUntil.Store(now + plainFor)
		srv.log.Info("server changes the case of names, which is sent as asked for now", "server", srv.spec.Addr.String())
	}
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.done || !a.open || a.again {
		return
	}
	a.again = true
	ex.try(srv, a.edns, now)
	ex.settle(now)
}
