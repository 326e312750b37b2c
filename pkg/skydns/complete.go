package skydns

import (
	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// outcome says why a name was not completed. Its values are those of the metric label
// "reason".
type outcome uint8

const (
	outcomeForm        outcome = iota // of another form than x.<namespace>.svc.<domain>, or ANY
	outcomeNamespace                  // there is no Service in the namespace
	outcomeService                    // the last label of x is a Service of the namespace
	outcomeMissing                    // the name is in our zones and does not exist
	outcomeOutside                    // the name, or what it leads to, is not in our zones
	outcomeUnavailable                // the data is not complete
	outcomeHanded                     // dnscache was told which names to try
	outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"form", "namespace", "service", "missing", "outside", "unavailable", "handed"}[o]
}

// place is the result of looking up a name in our zones.
type place struct {
	zone *authority
	at   int  // where the zone begins in the name
	own  bool // the zone has the name of itself
	a    treecache.Answer
}

// noSuchName answers NXDOMAIN for the question's name, or completes the name (see package
// autopath).
func (w *worker) noSuchName() result {
	settings := w.s.cfg.Autopath.Settings()
	if settings.Mode != autopath.Cluster && settings.Mode != autopath.All || w.zone != &w.s.domain {
		return w.negative(wire.RcodeNXDomain)
	}
	start := w.b.Mark()
	c, p, why := w.findCandidate(settings)
	if why == outcomes && w.q.Type == wire.TypeANY {
		// A question of type ANY is not completed. But its NXDOMAIN must not be cached,
		// because caches apply it to all types.
		w.counters.notCompleted[outcomeForm].Add(1)
		return w.missingForNow(start)
	}
	switch why {
	case outcomes:
	case outcomeUnavailable:
		w.counters.notCompleted[why].Add(1)
		return w.missingForNow(start)
	default:
		w.counters.notCompleted[why].Add(1)
		return w.negative(wire.RcodeNXDomain)
	}
	r := w.answerCandidate(&p)
	if r.rcode == wire.RcodeServFail { // what it leads to has changed meanwhile
		w.counters.notCompleted[outcomeUnavailable].Add(1)
		return w.missingForNow(start)
	}
	w.counters.completed[c].Add(1)
	return r
}

// missingForNow answers an NXDOMAIN that must not be cached. The client then tries its next
// name; after SERVFAIL, some clients would end their search.
func (w *worker) missingForNow(start wire.Mark) result {
	w.b.Rollback(start)
	w.b.SetAA(true)
	w.chain.clear()
	w.zone = &w.s.domain
	soa := w.soa()
	soa.Minimum = 0
	w.b.Open(wire.Authority)
	if !w.b.SOA(w.zone.apex, 0, &soa) && !w.to.Stream() {
		w.b.SetTC()
	}
	return result{rcode: wire.RcodeNXDomain}
}

// findCandidate looks for the first name that exists among those that the client would ask
// for next. If why is outcomes, c is that name, it and its external names are in our zones,
// and w.candidate holds it. If why is outcomeHanded, the first name that exists may be
// outside our zones, and w.hint holds the names for dnscache to try. At most five names are
// looked up, with the external names that they lead to.
func (w *worker) findCandidate(settings autopath.Settings) (c autopath.Candidate, p place, why outcome) {
	parts, ok := autopath.Split(w.name, len(w.name)-len(w.zone.name))
	backend := w.zone.backend
	switch {
	case !ok:
		return c, p, outcomeForm
	case missing(backend.Records(w.name[parts.Namespace:])):
		return c, p, outcomeNamespace
	case !missing(backend.Records(w.name[parts.Last:])):
		return c, p, outcomeService
	}
	// Names such as _xmpp._tcp.example.com are not looked up for addresses, and the client
	// can ask for them by itself.
	all := settings.Mode == autopath.All && w.q.EDNS.Present && w.name[1] != '_'
	w.suffixes = w.suffixes[:0]
	for c = range autopath.Candidates {
		w.candidate = parts.Append(w.candidate[:0], w.name, c)
		p, why = w.look(w.candidate)
		if why == outcomes {
			why = w.end(&p)
			if all && (why == outcomeOutside || why == outcomes && len(w.suffixes) > 0) {
				w.suffixes = append(w.suffixes, parts.Suffix(w.name, c))
				break // it exists, so nothing after it counts
			}
			return c, p, why
		}
		if why == outcomeMissing || all && why == outcomeOutside {
			if why == outcomeOutside {
				w.addOutside(&parts, c, settings.Searches)
			}
			continue
		}
		return c, p, why
	}
	if len(w.suffixes) == 0 {
		return c, p, why
	}
	w.hint = autopath.AppendHint(w.hint[:0], parts.Namespace, w.suffixes)
	return c, p, outcomeHanded
}

// addOutside adds the suffix of a candidate outside our zones to w.suffixes. If the candidate
// is the name itself, and not below any of our zones, the client's other search entries are
// added before it. Names for which there is no server to ask are left out. w.candidate holds
// the candidate's name.
func (w *worker) addOutside(parts *autopath.Parts, c autopath.Candidate, searches []dnsname.Name) {
	if w.s.route(w.candidate).Kind == RouteNobody {
		return
	}
	if c == autopath.Bare && !w.s.below(w.candidate) {
		for i := range searches {
			w.suffixes = append(w.suffixes, []byte(searches[i]))
		}
	}
	w.suffixes = append(w.suffixes, parts.Suffix(w.name, c))
}

// below reports whether a canonical wire name is in one of our zones, even if it belongs
// to a stub domain there.
func (s *Server) below(name []byte) bool {
	_, below := dnsname.CutZone(name, s.domain.name)
	for i := 0; !below && i < len(s.others); i++ {
		_, below = dnsname.CutZone(name, s.others[i].name)
	}
	return below
}

// missing reports whether a means that the name does not exist.
func missing(a treecache.Answer) bool { return a.Status == treecache.NoSuchName }

// look looks up a name. why is outcomes if the name is in our zones and has records of any
// type.
func (w *worker) look(name []byte) (p place, why outcome) {
	zone, at, ours := w.s.cutOwn(name)
	if !ours {
		return p, outcomeOutside
	}
	p.zone, p.at = zone, at
	switch string(name[:at]) {
	case "", nsPrefix, versionPrefix:
		p.own = true
		if !zone.backend.HasSynced() {
			return p, outcomeUnavailable
		}
		return p, outcomes
	}
	switch p.a = zone.backend.Records(name); p.a.Status {
	case treecache.Found:
		return p, outcomes
	case treecache.NoSuchName, treecache.NoRecords:
		return p, outcomeMissing
	}
	return p, outcomeUnavailable
}

// end follows external names, starting at p. It returns outcomes if they end at an existing
// name in our zones.
func (w *worker) end(p *place) outcome {
	a, own := p.a, p.own
	for followed := 1; ; followed++ { // the candidate is one
		switch {
		case own, a.Aliases() == 0:
			return outcomes
		case followed == maxChain: // a loop, or too long
			return outcomeOutside
		}
		record := a.Alias(0)
		w.target = record.AppendTarget(w.target[:0])
		w.target = dnsname.AppendLower(w.target[:0], w.target)
		next, why := w.look(w.target)
		switch {
		case why == outcomeMissing && next.a.Status == treecache.NoRecords:
			return outcomes
		case why != outcomes:
			return why
		}
		a, own = next.a, next.own
	}
}

// answerCandidate answers the question with a CNAME to w.candidate, which was found at p, and
// with its records.
func (w *worker) answerCandidate(p *place) result {
	// The CNAME implies that the names before the candidate do not exist, so it must not be
	// cached for longer than a negative answer.
	ttl := min(w.s.negativeTTL, w.s.ttl)
	if !p.own {
		ttl = min(w.s.negativeTTL, p.a.TTL())
	}
	name := w.chain.append(w.candidate, ttl)
	switch {
	case !w.b.NameRecord(nil, wire.TypeCNAME, ttl, name):
		return w.tooLong(result{})
	case w.q.Type == wire.TypeCNAME:
		return result{}
	}
	w.zone = p.zone
	if r, own := w.answerOwn(name, maxTTL, w.candidate[:p.at]); own {
		return r
	}
	asked := w.resolved
	w.resolved = true // no other server is asked
	r, _ := w.answerFrom(name, maxTTL, p.a)
	w.resolved = asked
	return r
}
