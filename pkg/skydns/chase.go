package skydns

import (
	"errors"
	"slices"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxChain is how many external names are followed for one question.
const maxChain = 8

// chain holds the external names followed so far: their targets, spelled as in the Service,
// and the TTL of each CNAME. The first target may be the name to which the question's name
// was completed.
type chain struct {
	names []byte
	ends  [maxChain]int
	ttls  [maxChain]uint32
	n     int
}

func (c *chain) clear() { c.names, c.n = c.names[:0], 0 }

func (c *chain) len() int { return c.n }

// appendTarget appends the record's target and returns it.
func (c *chain) appendTarget(record *treecache.Record, ttl uint32) []byte {
	c.names = record.AppendTarget(c.names)
	return c.end(ttl)
}

// append appends a name and returns it.
func (c *chain) append(name []byte, ttl uint32) []byte {
	c.names = append(c.names, name...)
	return c.end(ttl)
}

// end completes the target whose octets were appended, and returns it.
func (c *chain) end(ttl uint32) []byte {
	c.ends[c.n], c.ttls[c.n] = len(c.names), ttl
	c.n++
	return c.at(c.n - 1)
}

// at returns target i.
func (c *chain) at(i int) []byte {
	start := 0
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.names[start:c.ends[i]]
}

// loops reports whether the last target has occurred before. question is the name with which
// the chain began.
func (c *chain) loops(question []byte) bool {
	last := c.at(c.n - 1)
	if wire.EqualNames(last, question) {
		return true
	}
	for i := range c.n - 1 {
		if wire.EqualNames(last, c.at(i)) {
			return true
		}
	}
	return false
}

// copy returns a chain that shares nothing with c.
func (c *chain) copy() chain {
	other := *c
	other.names = append([]byte(nil), c.names...)
	return other
}

// resolve asks other servers about the last target of the chain, which is outside the domain.
// start marks the reply before the chain.
func (w *worker) resolve(start wire.Mark, ttl uint32) (r result, later bool) {
	target := w.chain.at(w.chain.len() - 1)
	w.target = dnsname.AppendLower(w.target[:0], target)
	route := w.s.route(w.target)
	switch {
	case route.Kind == RouteUnavailable:
		return w.unreachable(start, route.Reason), false
	case route.Kind == RouteNobody && w.s.cfg.RefuseUncovered:
		return r, false // RFC 1034 §4.3.2: the CNAME is all that we know
	case route.Kind != RouteStub && keptInside(w.target, w.q.Type):
		return w.noSingleLabel(), false
	case w.resolved:
		return w.failed(start, "external name leads in and out of the domain"), false
	case w.s.cfg.Resolve == nil:
		return r, false // RFC 1034 §4.3.2: the CNAME is all that we know
	case route.Kind == RouteNobody:
		return w.unreachable(start, route.Reason), false
	}
	p := &pending{s: w.s, q: w.q, to: w.to, chain: w.chain.copy(), ttl: ttl, start: time.Now()}
	p.q.Name = append([]byte(nil), w.q.Name...)
	p.q.EDNS.Options = nil // they alias the packet
	p.q.EDNS.ClientCookie = slices.Clone(p.q.EDNS.ClientCookie)
	question := wire.Query{Name: target, Type: w.q.Type, Class: wire.ClassIN, Flags: wire.FlagRD | w.q.Flags&wire.FlagCD}
	question.EDNS.DO = w.q.EDNS.DO
	w.s.cfg.Resolve(&question, p.done)
	return r, true
}

// unreachable is failed for the case that no server can be asked about an external name.
func (w *worker) unreachable(start wire.Mark, reason string) result {
	r := w.failed(start, reason)
	r.ede.Code = wire.EDENoReachableAuthority
	return r
}

// pending is a question whose answer waits for another server.
type pending struct {
	s     *Server
	q     wire.Query
	to    listener.ReplyTo
	chain chain
	ttl   uint32
	start time.Time
}

// done sends the answer: the chain, and what the other server replied about its last name.
func (p *pending) done(reply *wire.Reply, err error) {
	w := p.s.newBatch()
	buffer := p.s.buffers.Get().(*[]byte)
	defer func() {
		if r := recover(); r != nil {
			query := wire.AppendQuery(nil, p.q.ID, p.q.Flags, wire.Subject{Name: p.q.Name, Type: p.q.Type, Class: p.q.Class}, nil)
			p.to.Send(p.s.crashed(r, query, nil))
		}
	}()
	w.q, w.to, w.resolved = p.q, p.to, true
	w.logged, w.start = p.s.cfg.Answers.On(), p.start
	w.name = dnsname.AppendLower(w.name[:0], p.q.Name)
	w.chain.clear()
	w.zone = &p.s.domain
	r := w.answerResolved((*buffer)[:0], p, reply, err)
	out := w.finish(r)
	w.counters.observeDuration(r.system, time.Since(p.start), 1)
	p.to.Send(out)
	w.resolved, w.q = false, wire.Query{}
	p.s.workers.Put(w)
	p.s.buffers.Put(buffer)
}

// errNoAnswer means that the reply does not answer the question.
var errNoAnswer = errors.New("the reply does not answer the question")

// answerResolved builds the answer to a pending question.
func (w *worker) answerResolved(buffer []byte, p *pending, up *wire.Reply, err error) result {
	w.begin(buffer)
	start := w.b.Mark()
	last := p.chain.at(p.chain.len() - 1)
	if err == nil {
		asked := wire.Query{Name: last, Type: p.q.Type, Class: wire.ClassIN}
		if !up.Answers(&asked) {
			err = errNoAnswer
		}
	}
	switch {
	case err != nil:
		w.s.log.Debug("external name not resolved", "name", nameText(last), "error", err)
		return w.unreachable(start, "external name not resolved")
	case up.Rcode != wire.RcodeSuccess && up.Rcode != wire.RcodeNXDomain:
		return w.failed(start, "external name failed upstream")
	case up.Truncated() && p.to.Stream() && wire.Count(up.Msg, wire.Answer) == 0:
		// A client that asked over TCP would take the empty answer as complete.
		return w.failed(start, "external name's answer is truncated, and the server does not answer over TCP")
	}
	var owner []byte
	for i := range p.chain.len() {
		if !w.b.NameRecord(owner, wire.TypeCNAME, p.chain.ttls[i], p.chain.at(i)) {
			return w.tooLong(result{})
		}
		owner = p.chain.at(i)
	}
	return w.copyResolved(start, p, up)
}
