package skydns

import (
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// worker is the working memory for one query. It is reused for many queries, one after
// another.
type worker struct {
	s        *Server         // the server that it works for
	counters *counters       // a shard, which other workers may share
	tick     uint32          // queries so far; selects those whose duration is measured
	pending  [systems]uint64 // queries not yet in the histogram of durations
	second   int64           // Unix time of the batch, 0 until somebody asks for it

	q     wire.Query       // the query; its slices are parts of the packet
	b     wire.Builder     // the reply
	to    listener.ReplyTo // where the reply goes
	name  []byte           // the question's name, canonical
	chain chain            // external names followed so far
	zone  *authority       // that of the name at hand; the domain where it is in none

	resolved bool      // Resolve has answered already
	logged   bool      // the answer log is on
	start    time.Time // of the query; set if it is measured or logged

	// Scratch memory. Nothing in it outlives the call that fills it, unless the
	// method that fills it says so.
	target []byte // a name
	// candidate is the name that the question's may be completed to.
	candidate []byte
	suffixes  [][]byte // of names that are handed to dnscache to try
	// hint is the EDNS option with them; it is in the next reply unless empty.
	hint    []byte
	cookie  wire.Cookie        // of the OPT record
	few     []netip.Addr       // of a small Service
	addrs   hashSet            // addresses that the reply has already: an endpoint may have several names
	record  treecache.Record   // the service at hand
	records []treecache.Record // of a reverse answer
	seen    hashSet            // SRV targets that the reply has already
	aliases []alias            // of a reply from outside
	dnames  int                // how many of aliases are DNAME records or their signatures
	work    int                // what may still be spent on a reply from outside
}

func newWorker(s *Server) *worker {
	return &worker{
		s: s, counters: s.metrics.shard(), zone: &s.domain,
		name:      make([]byte, 0, dnsname.MaxName),
		target:    make([]byte, 0, dnsname.MaxName),
		candidate: make([]byte, 0, dnsname.MaxName),
	}
}

// result describes an answer, apart from the records in it.
type result struct {
	system system
	rcode  int
	ede    wire.ExtendedError
	// extra is counted besides what rcode stands for.
	extra cause
}

// unix returns the Unix time in seconds. It is the same for all queries of a batch.
func (w *worker) unix() int64 {
	if w.second == 0 {
		w.second = time.Now().Unix()
	}
	return w.second
}

// read parses the query and its name, unless v holds the result already.
func (w *worker) read(packet []byte, v *parsed) wire.Verdict {
	if v != nil {
		w.q = v.query
		w.name = append(w.name[:0], v.name...)
		return v.verdict
	}
	verdict := wire.ParseQuery(packet, &w.q)
	if verdict == wire.Accept {
		w.name = dnsname.AppendLower(w.name[:0], w.q.Name)
	}
	return verdict
}

// handleQuery answers one query or passes it on. v is the result of parsing it, or nil.
func (w *worker) handleQuery(packet []byte, v *parsed, to listener.ReplyTo, reply []byte) []byte {
	w.logged = w.s.cfg.Answers.On()
	timed := w.tick%sampleEvery == 0 || w.logged
	w.tick++
	if timed {
		w.start = time.Now()
	}
	w.to = to
	switch verdict := w.read(packet, v); verdict {
	case wire.Accept:
	case wire.Drop:
		to.Drop()
		return nil
	default:
		return w.refuse(reply, verdict.Rcode(), wire.ExtendedError{})
	}
	w.chain.clear()
	w.zone = &w.s.domain

	var r result
	switch w.q.Class {
	case wire.ClassIN:
		z, at, inside := w.s.cutOwn(w.name)
		if inside {
			w.zone = z
			w.begin(reply)
			var later bool
			if r, later = w.answerInside(at); later {
				return nil
			}
			break
		}
		var claimed bool
		if r, claimed = w.answerReverse(reply); !claimed {
			return w.answerOutside(packet, reply)
		}
	case wire.ClassCH:
		w.begin(reply)
		r = w.answerChaos()
	default:
		return w.refuse(reply, wire.RcodeRefused, wire.ExtendedError{})
	}
	out := w.finish(r)
	w.pending[r.system]++
	if timed {
		w.counters.observeDuration(r.system, time.Since(w.start), w.pending[r.system])
		w.pending[r.system] = 0
	}
	return out
}

// begin starts a reply in which this server has authority.
func (w *worker) begin(reply []byte) {
	limit := wire.MaxMessage
	if !w.to.Stream() {
		limit = w.q.ReplyLimit(wire.DefaultPayload)
	}
	w.b.Start(reply, &w.q, limit)
	w.b.SetAA(true)
}

// finish ends the reply and counts it.
func (w *worker) finish(r result) []byte {
	w.b.SetRcode(r.rcode)
	out := w.b.Finish(w.opt(r.ede))
	w.hint = w.hint[:0]
	w.count(r, len(out))
	return out
}

// opt returns the OPT record of the reply. It uses w.cookie.
func (w *worker) opt(ede wire.ExtendedError) wire.OPT {
	o := wire.OPT{EDE: ede}
	if w.q.EDNS.ClientCookie != nil {
		o.Cookie = w.s.cfg.CookieSecret.Cookie(&w.cookie, &w.q, w.to.Peer().Addr(), uint32(w.unix()))
	}
	if w.resolved && w.s.cfg.RouteList != nil { // other servers took part
		o.Raw = w.s.cfg.RouteList().Option()
	}
	if len(w.hint) > 0 {
		o.Raw = w.hint
	}
	return o
}

func (w *worker) count(r result, size int) {
	c := w.counters
	c.answers[r.system][min(r.rcode, wire.RcodeSlots-1)].Add(1)
	if r.extra != causeNone {
		c.cut[r.system][r.extra].Add(1)
	}
	c.observeSize(r.system, size)
	if isFailure(r.rcode) {
		w.noteFailure(&r)
	}
	if w.logged {
		w.logAnswer(r)
	}
}

// logAnswer writes the query and its answer to the answer log.
func (w *worker) logAnswer(r result) {
	w.s.cfg.Answers.Answer(&answerlog.Entry{
		Client: w.to.Peer(), Stream: w.to.Stream(), Name: w.q.Name, Type: w.q.Type, Class: w.q.Class,
		Rcode: r.rcode, Source: r.system.source(), Took: time.Since(w.start),
	})
}

// refuse returns a reply without AA and without records.
func (w *worker) refuse(reply []byte, rcode int, ede wire.ExtendedError) []byte {
	out := wire.AppendError(reply, &w.q, rcode, w.opt(ede))
	w.count(result{system: systemAuth, rcode: rcode, ede: ede}, len(out))
	return out
}

// answerReverse answers a question about the reverse name of an address of the domain.
// claimed is false if the question is not of that kind.
func (w *worker) answerReverse(reply []byte) (r result, claimed bool) {
	addr, ok := dnsname.ReverseAddr(w.name)
	if !ok || w.s.cfg.Delegated != nil && w.s.cfg.Delegated(w.name) {
		return result{}, false
	}
	a := w.s.domain.backend.ReverseRecord(addr, &w.records)
	r.system = systemReverse
	if a.Len() == 0 {
		if w.s.domain.backend.HasSynced() {
			return r, false
		}
		w.begin(reply)
		return w.notReady(r), true
	}
	w.begin(reply)
	switch w.q.Type {
	case wire.TypePTR:
		ttl := a.TTL()
		for i := range a.Len() {
			record := a.At(i)
			w.target = record.AppendTarget(w.target[:0])
			// A single target shares no suffix with the question's name, so there is nothing
			// to compress.
			if a.Len() == 1 && w.b.Record(nil, wire.TypePTR, ttl, w.target) {
				break
			}
			if !w.b.NameRecord(nil, wire.TypePTR, ttl, w.target) {
				return w.tooLong(r), true
			}
		}
		return r, true
	case wire.TypeANY:
		w.answerAny(nil)
		return r, true
	}
	// The name acts as the apex of a zone, because no other zone of ours is above it.
	w.appendSOA(nil)
	return r, true
}

// tooLong sets TC because not all records fitted. Over UDP, TC makes the client ask over TCP.
// Over TCP, it tells the client and every cache that the RRset is not complete (RFC 2181 §9).
func (w *worker) tooLong(r result) result {
	w.b.SetTC()
	r.extra = causeTruncated
	if w.to.Stream() {
		r.extra = causeOverflow
	}
	return r
}

// notReady returns the answer for the time in which the data is not complete.
func (w *worker) notReady(r result) result {
	r.rcode = wire.RcodeServFail
	r.ede = wire.Extended(wire.EDENotReady, "records are being loaded")
	w.b.SetAA(false)
	return r
}
