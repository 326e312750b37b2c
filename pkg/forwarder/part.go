package forwarder

import (
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Part is a handler of a [Forwarder] that only one goroutine uses at a time. It reads the clock and
// updates the counters once for each batch. It does not recover from panics: pass [OnPanic] to the
// listener.
type Part struct {
	f       *Forwarder               // does not change
	now     int64                    // the time of the batch; 0 between batches
	logs    bool                     // whether answers are logged in this batch
	hits    uint64                   // answers given at once in this batch
	answers partAnswers              // the answers of this batch, by source and rcode
	tally   *tally                   // where a batch is counted
	key     [answercache.MaxKey]byte // memory for the key of a query that was not previewed
	msg     wire.Query               // a query that was not previewed
	q       Query                    // the query in progress

	// The results of Preview for the packets that Handle gets next.
	ahead  []previewed        // the packets in order
	next   int                // index of the next packet in ahead
	keys   []byte             // their keys
	spots  []answercache.Spot // the spots of those that are valid questions
	warmth int64              // the sum of what Warm returned; has no meaning
}

// previewed is a packet that Preview has parsed.
type previewed struct {
	packet  *byte // first octet, to recognise the packet
	query   wire.Query
	verdict wire.Verdict
	from    int                // offset of its key in Part.keys
	to      int                // offset of the key's end
	cache   *answercache.Cache // the cache that spot belongs to; nil if spot is not set
	spot    answercache.Spot
}

var _ listener.Worker = (*Part)(nil)

// Split implements listener.Splitter: it returns a *Part.
func (f *Forwarder) Split() listener.Worker { return f.newPart() }

func (f *Forwarder) newPart() *Part {
	return &Part{f: f, tally: &f.tallies[f.nextTally.Add(1)%tallyShards]}
}

// Handle implements listener.Handler.
func (p *Part) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	return p.handlePacket(p.f.state.Load(), packet, to, reply)
}

// handlePacket is Handle with a certain configuration.
func (p *Part) handlePacket(st *snapshot, packet []byte, to listener.ReplyTo, reply []byte) []byte {
	if p.now == 0 {
		p.now, p.logs = p.f.now(), p.f.answerLog.On()
	}
	q := &p.q
	q.f, q.st, q.part = p.f, st, p
	q.to, q.resolve, q.serial = to, nil, 0
	q.Options, q.Private, q.source, q.extended = "", false, SourceCache, false
	q.now, q.reply, q.out = p.now, reply, nil
	for p.next < len(p.ahead) {
		v := &p.ahead[p.next]
		p.next++
		if v.packet == &packet[0] {
			q.Msg, q.key, q.cache, q.spot = &v.query, p.keys[v.from:v.to], v.cache, v.spot
			q.handleVerdict(v.verdict)
			p.count()
			return q.out
		}
	}
	q.Msg, q.key, q.cache = &p.msg, p.key[:0], nil
	q.handleVerdict(wire.ParseQuery(packet, &p.msg))
	p.count()
	return q.out
}

// count counts the answer, if the query has been answered.
func (p *Part) count() {
	q := &p.q
	if len(q.out) == 0 {
		return
	}
	slot := wire.RcodeSlot(wire.Flags(q.out[len(q.reply):]))
	if q.extended {
		slot = wire.RcodeSlots - 1
	}
	p.answers.countAnswer(q.source, slot)
	if p.logs {
		q.logAnswer(q.out[len(q.reply):], time.Duration(p.f.now()-p.now))
	}
}

// Preview implements listener.Worker. It parses the packets and lets the cache fetch the memory
// that they will need, for all at the same time.
func (p *Part) Preview(packets [][]byte) {
	cache := p.f.state.Load().cache
	p.ahead, p.next, p.keys, p.spots = p.ahead[:0], 0, p.keys[:0], p.spots[:0]
	if cache == nil {
		return
	}
	for _, packet := range packets {
		if len(p.ahead) == cap(p.ahead) {
			p.ahead = append(p.ahead, previewed{})
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

// Flush implements listener.Worker. It ends a batch and sends the questions that Handle left
// waiting.
func (p *Part) Flush() {
	p.end()
	p.f.set.Flush()
}

// end counts the batch and drops its data. A goroutine without queries must not keep a
// configuration that has been replaced, because its stages may be large.
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
