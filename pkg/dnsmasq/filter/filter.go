// Package filter refuses questions, and removes and rewrites records, as dnsmasq does:
// --domain-needed, --bogus-priv, --filterwin2k, --filter-A and similar options,
// --stop-dns-rebind, --bogus-nxdomain, --ignore-address, --alias.
//
// Use [New] with a [Config] and pass the [forwarder.Stage] to a forwarder, after that of
// package local, so that local data is never filtered.
package filter

import (
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Config says what is refused, removed or rewritten. It must not change after New.
type Config struct {
	// Filter holds the options that filter.
	options.Filter
	// Known reports whether local data has a name in canonical form, or a name below it.
	// Such names exist. Nil means that there is no local data.
	Known func(name []byte) bool
	// OnRebind is called, at most once in ten seconds, when an answer about name (wire form)
	// was emptied because of StopRebind. suppressed is the number of such answers since the
	// last call. OnRebind must not block and not keep name. It may be nil.
	OnRebind func(name []byte, suppressed uint64)
}

// filter applies a Config. Only rebinds changes.
type filter struct {
	Config                // the configuration; does not change
	types      []uint16   // the types that are removed from answers
	onlyCommon bool       // ANY is among types
	private    *prefixSet // the networks of --bogus-priv and --stop-dns-rebind
	bogus      *prefixSet // BogusNXDomain
	ignored    *prefixSet // IgnoreAddress
	moves      *moves     // Aliases
	rebindable *domainSet // RebindDomainOK
	rebinds    notifier   // calls OnRebind; safe for concurrent use
}

// New returns the stage for cfg.
func New(cfg *Config) forwarder.Stage {
	fl := &filter{
		Config: *cfg, types: slices.Clone(cfg.FilterRR), private: newPrefixSet(privateNetworks()),
		bogus: newPrefixSet(cfg.BogusNXDomain), ignored: newPrefixSet(cfg.IgnoreAddress), rebindable: newDomainSet(cfg.RebindDomainOK),
		moves: newMoves(cfg.Aliases),
	}
	if cfg.FilterA {
		fl.types = append(fl.types, wire.TypeA)
	}
	if cfg.FilterAAAA {
		fl.types = append(fl.types, wire.TypeAAAA)
	}
	fl.onlyCommon = slices.Contains(fl.types, wire.TypeANY)
	fl.rebinds.notify = cfg.OnRebind
	s := forwarder.Stage{Name: "filter"}
	if cfg.DomainNeeded || cfg.BogusPriv || cfg.FilterWin2k {
		s.Query = fl.refuse
	}
	if len(fl.types) > 0 {
		s.Hit, s.Miss = fl.removeTypes, fl.miss
	}
	if len(cfg.IgnoreAddress) > 0 {
		s.Ignore = fl.ignore
	}
	if cfg.StopRebind || len(fl.types)+len(cfg.BogusNXDomain)+len(cfg.Aliases) > 0 {
		s.Reply = fl.judge
	}
	if cfg.StopRebind {
		s.Complete = fl.mayComplete
	}
	return s
}

// refuse answers questions that must not be forwarded. A name in local data gets an answer
// without data instead of NXDOMAIN. The flags are those of dnsmasq: AA is set for private
// networks, but not for names without a dot.
func (fl *filter) refuse(q *forwarder.Query) bool {
	if q.Msg.Class != wire.ClassIN {
		return false
	}
	name, qtype := q.Name, q.Msg.Type
	single := len(name) > 1 && int(name[0])+2 == len(name)
	switch {
	case fl.DomainNeeded && single && (qtype == wire.TypeA || qtype == wire.TypeAAAA || qtype == wire.TypeANY):
		q.Because("--domain-needed: names without a dot are not forwarded")
		return fl.deny(q)
	case fl.FilterWin2k && (qtype == wire.TypeSOA || qtype == wire.TypeSRV):
		q.Because("--filterwin2k: SOA and SRV questions are not forwarded")
		return q.AnswerEmpty(wire.FlagAA, wire.ExtendedError{})
	case fl.FilterWin2k && qtype == wire.TypeANY && slices.Contains(name, '_'):
		q.Because("--filterwin2k: ANY questions about names with an underscore are not forwarded")
		return q.AnswerEmpty(wire.FlagAA, wire.ExtendedError{})
	case fl.BogusPriv && (qtype == wire.TypePTR || qtype == wire.TypeANY):
		addr, ok := reverseAddr(name)
		if !ok || !fl.private.contains(addr) {
			return false
		}
		// If the network has servers of its own, they know it.
		if d := q.Route(name, qtype); d.Kind != upstream.Literal && (d.Kind != upstream.Ask || d.Group.Domain() == "") {
			q.Because("--bogus-priv: reverse names of private addresses are not forwarded")
			if fl.knownLocally(q) {
				return q.AnswerEmpty(wire.FlagAA, wire.ExtendedError{})
			}
			return q.AnswerNoName(addr, wire.FlagAA)
		}
	}
	return false
}

// deny answers that the name does not exist or, if local data has it, that it has no data of
// this type. It does not answer for names that the routing table answers itself.
func (fl *filter) deny(q *forwarder.Query) bool {
	k := q.Route(q.Name, q.Msg.Type).Kind
	switch {
	case k == upstream.Literal || k == upstream.LocalOnly:
		return false
	case fl.knownLocally(q):
		return q.AnswerEmpty(wire.RcodeSuccess, wire.ExtendedError{})
	}
	return q.AnswerEmpty(wire.RcodeNXDomain, wire.ExtendedError{})
}

// knownLocally reports whether local data or the routing table has the name, or a name below
// it.
func (fl *filter) knownLocally(q *forwarder.Query) bool {
	return fl.Known != nil && fl.Known(q.Name) || q.HasLiteral()
}

// miss answers that a name that exists has no data, if records of the question's type would be
// removed from the answer anyway. Then no server needs to be asked.
func (fl *filter) miss(q *forwarder.Query, d upstream.Decision) bool {
	if q.Msg.Type == wire.TypeANY || q.Msg.Class != wire.ClassIN || !slices.Contains(fl.types, q.Msg.Type) || d.Kind == upstream.Literal {
		return false
	}
	if !q.HasRecords() && !fl.knownLocally(q) {
		return false
	}
	q.Because("--filter-A, --filter-AAAA or --filter-rr: the name exists, and all its records of this type would be removed")
	return q.AnswerEmpty(wire.RcodeSuccess, wire.Extended(wire.EDEFiltered, ""))
}

// notifier calls notify, at most once per [lograte.Every].
type notifier struct {
	notify func(name []byte, suppressed uint64) // may be nil
	limit  lograte.Limiter                      // limits the calls of notify
}

// rebind calls notify, or counts the event if the last call was too short a time ago.
func (n *notifier) rebind(name []byte, now int64) {
	if n.notify == nil {
		return
	}
	if suppressed, ok := n.limit.Allow(now); ok {
		n.notify(name, suppressed)
	}
}
