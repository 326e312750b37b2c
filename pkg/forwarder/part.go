package forwarder

import (
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Batched is a handler for a listener that calls Flush after the packets of one
// batch: questions for other servers then leave together. A listener takes a
// [Part] of it for each of its goroutines.
type Batched struct{ f *Forwarder }

// Part is a [Batched] that one goroutine at a time may use: it reads the clock
// and counts once per batch. A panic in it is the listener's to catch; give it
// [OnPanic].
type Part struct {
	f       *Forwarder
	now     int64  // of the batch, 0 between two of them
	hits    uint64 // not yet counted
	answers partAnswers
	tally   *tally // for what a batch brought
	key     [answercache.MaxKey]byte
	msg     wire.Query // of a packet that Preview has not read
	q       Query      // the query in progress

	// What Preview found out about the packets that Handle gets next.
	ahead  []parsed
	next   int // of ahead
	keys   []byte
	spots  []answercache.Spot
	warmth int64 // what Warm returned
}

// parsed is a packet that Preview has read.
type parsed struct {
	packet  *byte
	query   wire.Query
	verdict wire.Verdict
	from    int // where its key is in Part.keys
	to      int
	cache   *answercache.Cache // nil: it was not looked for
	spot    answercache.Spot
}

var (
	_ listener.Splitter = Batched{}
	_ listener.Worker   = (*Part)(nil)
)

// Batched returns f as a handler whose questions wait for Flush.
func (f *Forwarder) Batched() Batched { return Batched{f} }

// Handle implements listener.Handler.
func (b Batched) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	return b.f.handleSafely(packet, to, reply)
}

// Flush sends the questions that Handle left waiting.
func (b Batched) Flush() { b.f.set.Flush() }

// Split implements listener.Splitter: it returns a *Part.
func (b Batched) Split() listener.Worker { return b.f.newPart() }

func (f *Forwarder) newPart() *Part {
	return &Part{f: f, tally: &f.tallies[f.nextTally.Add(1)%tallyShards]}
}

// Handle implements listener.Handler.
func (p *Part) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	if p.now == 0 {
		p.now = p.f.now()
	}
	q := &p.q
	q.f, q.st, q.part = p.f, p.f.state.Load(), p
	q.to, q.resolve, q.serial = to, nil, 0
	q.Options, q.Private, q.source, q.extended = "", false, SourceCache, false
	q.now, q.reply, q.out = p.now, reply, nil
	for p.next < len(p.ahead) {
		v := &p.ahead[p.next]
		p.next++
		if v.packet == &packet[0] {
			q.Msg, q.key, q.cache, q.spot = &v.query, p.keys[v.from:v.to], v.cache, v.spot
			q.handle(v.verdict)
			p.count()
			return q.out
		}
	}
	q.Msg, q.key, q.cache = &p.msg, p.key[:0], nil
	q.handle(wire.ParseQuery(packet, &p.msg))
	p.count()
	return q.out
}

// count counts the answer, if the query has one by now.
func (p *Part) count() {
	q := &p.q
	if len(q.out) == 0 {
		return
	}
	slot := slotOf(q.out[len(q.reply):])
	if q.extended {
		slot = RcodeSlots - 1
	}
	p.answers.add(q.source, slot)
}

// Preview implements listener.Worker: it reads the packets and has the cache
// fetch from memory what they will need, all at a time.
func (p *Part) Preview(packets [][]byte) {
	cache := p.f.state.Load().cache
	p.ahead, p.next, p.keys, p.spots = p.ahead[:0], 0, p.keys[:0], p.spots[:0]
	if cache == nil {
		return
	}
	for _, packet := range packets {
		if len(p.ahead) == cap(p.ahead) {
			p.ahead = append(p.ahead, parsed{})
		} else {
			p.ahead = p.ahead[:len(p.ahead)+1] // every field is set below
		}
		v := &p.ahead[len(p.ahead)-1]
		v.packet, v.cache, v.from = &packet[0], nil, len(p.keys)
		v.verdict = wire.ParseQuery(packet, &v.query)
		if v.verdict == wire.Accept {
			p.keys = answercache.AppendKey(p.keys, &v.query)
			v.cache, v.spot = cache, cache.Spot(p.keys[v.from:])
			p.spots = append(p.spots, v.spot)
		}
		v.to = len(p.keys)
	}
	p.warmth += cache.Warm(p.spots)
}

// Flush ends a batch: it sends the questions that Handle left waiting.
func (p *Part) Flush() {
	p.end()
	p.f.set.Flush()
}

// end forgets the batch and counts what it brought. A goroutine without queries
// must not keep a configuration that was replaced: its stages may be large.
func (p *Part) end() {
	if p.answers.touched != 0 {
		p.answers.flush(&p.tally.answers, func() time.Duration { return time.Duration(p.f.now() - p.now) })
	}
	p.now = 0
	p.q.st, p.q.cache = nil, nil
	p.ahead = p.ahead[:0]
	if p.hits != 0 {
		p.tally.hits.Add(p.hits)
		p.hits = 0
	}
}
