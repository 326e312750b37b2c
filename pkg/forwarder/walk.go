package forwarder

import (
	"encoding/binary"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// walk tries the names in a hint instead of a name that does not exist (package autopath), and
// answers with the first one that exists. It sends nothing: its caller asks about each
// candidate, passes the replies to note, and calls decide. Only one goroutine may use it at a
// time.
//
// The A and AAAA records of a candidate are judged as a pair, whatever the type in the question
// is. Otherwise, a client could get the AAAA records of one name of its search list, and then
// not look for the A records of another.
type walk struct {
	name      []byte             // the question's name, canonical
	typ       uint16             // the question's type
	flags     uint16             // RD and CD of the questions about candidates
	do        bool               // the DO bit of the questions about candidates
	hint      autopath.Hint      // the candidates that are left
	data      []byte             // the memory that hint refers to
	candidate []byte             // the name that is tried
	fates     [3]fate            // the outcomes of the questions about candidate; see typeOf
	ttl       uint32             // TTL of the alias in the answer, limited by the replies so far
	missing   uint32             // the TTL for which the candidate does not exist
	reply     wire.Reply         // the reply about the question's type
	msg       []byte             // the message of reply
	reason    wire.ExtendedError // the extended error of reply
	f         *Forwarder         // the forwarder that uses it
	// policies are the Complete hooks of the stages, which the replies must pass.
	policies []func(name []byte, r *wire.Reply, now int64) bool

	ask     wire.Query   // memory for question
	scratch []byte       // memory for an answer that is given at once
	given   wire.Reply   // the answer in scratch
	chain   wire.Chain   // the records of reply that are the answer
	builder wire.Builder // writes the answer
}

// fate is the outcome of a question about a candidate.
type fate uint8

const (
	fateUnknown fate = iota
	fateExists       // the candidate exists, with or without records of the type
	fateMissing      // NXDOMAIN
	fateFailed       // no valid answer, or one that policies do not allow for this client's question
)

// verdict is the result of the replies about a candidate.
type verdict uint8

const (
	goOn   verdict = iota // the candidate does not exist: try the next one
	found                 // the candidate exists: answer with it
	gaveUp                // it is not known whether the candidate exists: end the walk
	waits                 // not all replies have arrived
)

// start begins the walk for the question q, whose name is name in canonical form. nx is the
// message that says that the name does not exist, and hint the hint in it. ok is false if the
// hint is not valid.
func (w *walk) start(q *wire.Query, name, nx, hint []byte) (ok bool) {
	w.name, w.data = append(w.name[:0], name...), append(w.data[:0], hint...)
	w.typ, w.flags, w.do, w.reason = q.Type, wire.FlagRD|q.Flags&wire.FlagCD, q.EDNS.DO, wire.ExtendedError{}
	w.ttl = 0
	if wire.ParseReply(nx, &w.reply) {
		w.ttl = negativeTTL(&w.reply, w.name)
	}
	w.hint, ok = autopath.ParseHint(w.data, w.name)
	return ok
}

// negativeTTL returns how long a negative answer about name is valid, in seconds.
func negativeTTL(r *wire.Reply, name []byte) uint32 {
	soa, _ := r.SOA(name)
	return soa.TTL
}

// next moves to the next candidate, and reports whether there is one.
func (w *walk) next() (ok bool) {
	w.candidate, ok = w.hint.Next(w.candidate[:0], w.name)
	w.fates, w.missing = [3]fate{}, ^uint32(0)
	return ok
}

// questions returns how many questions are asked about a candidate.
func (w *walk) questions() int {
	switch w.typ {
	case wire.TypeA, wire.TypeAAAA, wire.TypeCNAME:
		return 2
	}
	return 3
}

// typeOf returns the type of a question about a candidate.
func (w *walk) typeOf(i int) uint16 { return [...]uint16{wire.TypeA, wire.TypeAAAA, w.typ}[i] }

// question returns a question about the candidate. It is valid until the next call.
func (w *walk) question(i int) *wire.Query {
	w.ask = wire.Query{Flags: w.flags, Name: w.candidate, Type: w.typeOf(i), Class: wire.ClassIN}
	w.ask.EDNS.Present, w.ask.EDNS.DO = true, w.do
	return &w.ask
}

// note records the outcome of a question about the candidate. It copies the reply if necessary.
func (w *walk) note(i int, r *wire.Reply, err error) {
	switch {
	case err != nil, r.Truncated():
		w.fates[i] = fateFailed
		return
	case r.Rcode == wire.RcodeSuccess && w.allows(r):
		w.fates[i] = fateExists
	case r.Rcode == wire.RcodeNXDomain:
		w.fates[i] = fateMissing
		w.missing = min(w.missing, negativeTTL(r, r.Name))
	default:
		w.fates[i] = fateFailed
		return
	}
	if w.typeOf(i) == w.typ {
		w.msg = append(w.msg[:0], r.Msg...)
		if !wire.ParseReply(w.msg, &w.reply) {
			w.fates[i] = fateFailed
		}
		w.reason = extendedOf(r)
	}
}

// allows reports whether the records in a reply about the candidate may be given to a client
// that asked for another name.
func (w *walk) allows(r *wire.Reply) bool {
	for _, allowed := range w.policies {
		if !allowed(w.name, r, w.f.now()) {
			return false
		}
	}
	return true
}

// decide judges the candidate. All questions about it must have an outcome.
func (w *walk) decide() verdict {
	exists := false
	for i := range w.questions() {
		switch w.fates[i] {
		case fateUnknown:
			return waits
		case fateFailed:
			return gaveUp
		case fateExists:
			exists = exists || i < 2
		}
	}
	if !exists {
		w.ttl = min(w.ttl, w.missing)
		return goOn
	}
	if w.typ == wire.TypeCNAME {
		return found
	}
	w.chain.Signatures = w.do
	w.chain.Follow(&w.reply, w.typ)
	if w.chain.Broken {
		return gaveUp
	}
	return found
}

// compose appends the answer to q: an alias that leads to the candidate, and the records of the
// candidate. The answer has no OPT record. decide must have returned found.
func (w *walk) compose(dst []byte, q *wire.Query) []byte {
	bare := *q
	bare.EDNS = wire.EDNS{}
	b := &w.builder
	b.Start(dst, &bare, wire.MaxMessage)
	if w.typ == wire.TypeCNAME {
		b.NameRecord(nil, wire.TypeCNAME, w.ttl, w.candidate)
		return b.Finish(wire.OPT{})
	}
	ttl, negative := w.ttl, w.chain.Final >= w.chain.FinalEnd
	for i := range w.chain.Records {
		ttl = min(ttl, w.chain.Records[i].TTL)
	}
	if negative {
		ttl = min(ttl, negativeTTL(&w.reply, w.chain.End))
	}
	complete := b.NameRecord(nil, wire.TypeCNAME, ttl, w.candidate)
	for i := range w.chain.Records {
		rec := &w.chain.Records[i]
		complete = complete && b.Copy(w.reply.Msg, rec, rec.TTL)
	}
	b.Open(wire.Authority)
	if soa, ok := w.reply.SOA(w.chain.End); negative && ok {
		complete = complete && b.Copy(w.reply.Msg, &soa, soa.TTL)
	}
	if !w.appendProofs() || !complete {
		b.SetTC()
	}
	return b.Finish(wire.OPT{})
}

// appendProofs appends the records with which a validating client can prove the answer. It returns
// false if they did not fit.
func (w *walk) appendProofs() bool {
	var rec wire.Record
	for it := w.reply.Records(); w.do && it.Next(&rec); {
		if rec.Proves() && !w.builder.Copy(w.reply.Msg, &rec, rec.TTL) {
			return false
		}
	}
	return true
}

// forgetAtOnce sets the TTL and the MINIMUM field of the SOA record in a negative answer to 0,
// so that no cache keeps it.
func forgetAtOnce(msg []byte) {
	var (
		r   wire.Reply
		rec wire.Record
	)
	if !wire.ParseReply(msg, &r) {
		return
	}
	const beforeTTL = 6 // TTL and RDLENGTH
	for it := r.Records(); it.Next(&rec); {
		if rec.Section == wire.Authority && rec.Type == wire.TypeSOA {
			binary.BigEndian.PutUint32(msg[rec.Data-beforeTTL:], 0)
			binary.BigEndian.PutUint32(msg[rec.End-4:], 0)
		}
	}
}
