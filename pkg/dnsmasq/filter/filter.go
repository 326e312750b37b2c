// Package filter refuses, removes and rewrites, as dnsmasq does: --domain-needed,
// --bogus-priv, --filterwin2k, --filter-A and its like, --stop-dns-rebind,
// --bogus-nxdomain, --ignore-address, --alias.
//
// Use [New] with a [Config] and give the [forwarder.Stage] to a forwarder,
// after that of package local, so that local data is never filtered.
package filter

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Config says what is refused, removed or rewritten.
type Config struct {
	// DomainNeeded: A, AAAA and ANY of names of one label do not exist
	// (--domain-needed).
	DomainNeeded bool
	// BogusPriv: PTR of private addresses do not exist (--bogus-priv).
	BogusPriv bool
	// Win2k: SOA, SRV, and ANY of names with an underscore have no data
	// (--filterwin2k).
	Win2k bool
	// Types are removed from answers (--filter-A, --filter-AAAA, --filter-rr).
	// ANY among them leaves of answers to ANY only A, AAAA, MX and CNAME.
	Types []uint16
	// StopRebind empties answers with private addresses (--stop-dns-rebind),
	// RebindLocalhost lets loopback ones through, RebindDomains names.
	StopRebind      bool
	RebindLocalhost bool
	RebindDomains   []dnsname.Domain
	// BogusNX makes answers with such an address NXDOMAIN (--bogus-nxdomain);
	// Ignore goes on asking as if they had not come (--ignore-address).
	BogusNX, Ignore []netip.Prefix
	// Aliases rewrite A records (--alias).
	Aliases []Alias
	// Known reports whether local data has a name in canonical form, or one below
	// it. Such names exist. Nil: none has.
	Known func(name []byte) bool
	// OnRebind is told, at most once in ten seconds, that an answer about name
	// (wire form) was emptied because of StopRebind, and of how many it was not
	// told since. It must not block and not keep name. Nil: nobody is told.
	OnRebind func(name []byte, suppressed uint64)
}

// Alias moves IPv4 addresses from First to Last to To, keeping the bits
// outside Mask. Of those that hold an address the last one counts. Masked moves
// only addresses that agree with First in the bits of Mask, which matters if these
// are not the first bits.
type Alias struct {
	First, Last, To, Mask netip.Addr
	Masked                bool
}

// filter is a Config ready for use.
type filter struct {
	Config
	onlyCommon bool // ANY is among Types
	private    *prefixSet
	bogus      *prefixSet // BogusNX
	ignored    *prefixSet // Ignore
	moves      *moves     // Aliases
	rebindable *domainSet // RebindDomains
	rebinds    notifier
}

// New returns the stage for cfg.
func New(cfg *Config) forwarder.Stage {
	fl := &filter{
		Config: *cfg, onlyCommon: slices.Contains(cfg.Types, wire.TypeANY), private: newPrefixSet(privateNetworks()),
		bogus: newPrefixSet(cfg.BogusNX), ignored: newPrefixSet(cfg.Ignore), rebindable: newDomainSet(cfg.RebindDomains),
		moves: newMoves(cfg.Aliases),
	}
	fl.rebinds.notify = cfg.OnRebind
	var s forwarder.Stage
	if cfg.DomainNeeded || cfg.BogusPriv || cfg.Win2k {
		s.Query = fl.refuse
	}
	if len(cfg.Types) > 0 {
		s.Hit, s.Miss = fl.removeTypes, fl.miss
	}
	if len(cfg.Ignore) > 0 {
		s.Ignore = fl.ignore
	}
	if cfg.StopRebind || len(cfg.Types)+len(cfg.BogusNX)+len(cfg.Aliases) > 0 {
		s.Reply = fl.judge
	}
	return s
}

// refuse answers questions that nobody is to be asked. Names that are known here
// have no data of this type instead of not existing. The flags are dnsmasq's: it
// knows private networks by authority, but not names without a dot.
func (fl *filter) refuse(q *forwarder.Query) bool {
	if q.Msg.Class != wire.ClassIN {
		return false
	}
	name, qtype := q.Name, q.Msg.Type
	single := len(name) > 1 && int(name[0])+2 == len(name)
	switch {
	case fl.DomainNeeded && single && (qtype == wire.TypeA || qtype == wire.TypeAAAA || qtype == wire.TypeANY):
		return fl.deny(q, 0)
	case fl.Win2k && (qtype == wire.TypeSOA || qtype == wire.TypeSRV):
		return q.AnswerEmpty(wire.FlagAA, wire.ExtendedError{})
	case fl.Win2k && qtype == wire.TypeANY && slices.Contains(name, '_'):
		return q.AnswerEmpty(wire.FlagAA, wire.ExtendedError{})
	case fl.BogusPriv && (qtype == wire.TypePTR || qtype == wire.TypeANY):
		addr, ok := reverseAddr(name)
		if !ok || !fl.private.contains(addr) {
			return false
		}
		// A route of its own says that the network is known there.
		if d := q.Route(name, qtype); d.Kind != upstream.Ask || d.Group.Domain() == "" {
			return fl.deny(q, wire.FlagAA)
		}
	}
	return false
}

// deny answers that a name does not exist, or if it is known here that it has no
// such data. Names with addresses from routes are left to those.
func (fl *filter) deny(q *forwarder.Query, flags uint16) bool {
	if k := q.Route(q.Name, q.Msg.Type).Kind; k == upstream.Literal || k == upstream.LocalOnly {
		return false
	}
	if !fl.known(q) {
		flags |= wire.RcodeNXDomain
	}
	return q.AnswerEmpty(flags, wire.ExtendedError{})
}

// known reports whether the name, or one below it, is known without asking.
func (fl *filter) known(q *forwarder.Query) bool {
	return fl.Known != nil && fl.Known(q.Name) || q.HasLiteral()
}

// miss answers that a name, which exists, has no data of a type that is removed
// from answers: the server need not be asked for what would be removed.
func (fl *filter) miss(q *forwarder.Query, d upstream.Decision) bool {
	if q.Msg.Type == wire.TypeANY || q.Msg.Class != wire.ClassIN || !slices.Contains(fl.Types, q.Msg.Type) || d.Kind == upstream.Literal {
		return false
	}
	if !q.HasRecords() && !fl.known(q) {
		return false
	}
	return q.AnswerEmpty(wire.RcodeSuccess, wire.Extended(wire.EDEFiltered, ""))
}

// notifier calls notify at most once in ten seconds.
type notifier struct {
	notify func(name []byte, suppressed uint64) // may be nil

	mu         sync.Mutex // guards what follows
	next       int64      // nanoseconds of Reply.Now
	suppressed uint64
}

func (n *notifier) tell(name []byte, now int64) {
	if n.notify == nil {
		return
	}
	n.mu.Lock()
	if now < n.next {
		n.suppressed++
		n.mu.Unlock()
		return
	}
	suppressed := n.suppressed
	n.next, n.suppressed = now+int64(10*time.Second), 0
	n.mu.Unlock()
	n.notify(name, suppressed)
}
