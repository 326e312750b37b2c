package skydns

import (
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Warmer may be implemented by a [Backend] that answers faster if it sees the names of
// several questions at once.
type Warmer interface {
	// Warm is called with canonical wire names for which Records or ReverseRecord will
	// probably be called next. It reads the memory that they will need, for all names at the
	// same time, and keeps no reference to names. The returned sum has no meaning: it only
	// keeps the compiler from removing the reads.
	Warm(names [][]byte) (sum uint64)
}

// Part is a view of a [Server] for one goroutine at a time, such as that of a listener's
// socket. It looks at all questions of a batch before it answers the first, and reads the
// clock once for all of them.
type Part struct {
	s      *Server
	worker *worker // nil between two batches, and while a query is answered

	// ahead is what Preview has parsed of the packets that Handle gets next.
	ahead []parsed
	next  int      // index in ahead of the packet that comes next
	space []byte   // holds the names of ahead
	names [][]byte // those that were passed to Warm
	sum   uint64   // what Warm returned
}

// parsed is a packet that Preview has read.
type parsed struct {
	packet  *byte
	query   wire.Query
	verdict wire.Verdict
	name    []byte // canonical
}

var (
	_ listener.Splitter = (*Server)(nil)
	_ listener.Worker   = (*Part)(nil)
)

// Split implements listener.Splitter: it returns a *Part.
func (s *Server) Split() listener.Worker { return &Part{s: s} }

// maxAhead bounds how many packets are looked at before the first is answered. With more, the
// memory read for the last ones would have left the processor's cache by then.
const maxAhead = 32

// Preview implements listener.Worker.
func (p *Part) Preview(packets [][]byte) {
	p.forget()
	if len(p.s.warmers) == 0 {
		return
	}
	if p.ahead == nil {
		p.ahead = make([]parsed, 0, maxAhead)
		p.space = make([]byte, 0, maxAhead*dnsname.MaxName)
		p.names = make([][]byte, 0, maxAhead)
	}
	for _, packet := range packets[:min(len(packets), maxAhead)] {
		p.ahead = p.ahead[:len(p.ahead)+1] // every field is set below
		v := &p.ahead[len(p.ahead)-1]
		v.packet, v.name = &packet[0], nil
		if v.verdict = wire.ParseQuery(packet, &v.query); v.verdict != wire.Accept {
			continue
		}
		from := len(p.space)
		p.space = dnsname.AppendLower(p.space, v.query.Name)
		v.name = p.space[from:]
		p.names = append(p.names, v.name)
	}
	for _, warmer := range p.s.warmers {
		p.sum += warmer.Warm(p.names)
	}
}

// forget drops what Preview has parsed.
func (p *Part) forget() {
	p.ahead, p.next, p.space, p.names = p.ahead[:0], 0, p.space[:0], p.names[:0]
}

// Handle implements listener.Handler as that of the Server.
func (p *Part) Handle(packet []byte, to listener.ReplyTo, reply []byte) (out []byte) {
	w := p.worker
	if w == nil {
		w = p.s.newBatch()
	}
	p.worker = nil // after a crash it may be in any state
	defer func() {
		if r := recover(); r != nil {
			out = p.s.crashed(r, packet, reply)
		}
	}()
	out = w.handleQuery(packet, p.found(packet), to, reply)
	p.worker = w
	return out
}

// found returns what Preview has parsed of packet, or nil if it did not see it.
func (p *Part) found(packet []byte) *parsed {
	for p.next < len(p.ahead) {
		v := &p.ahead[p.next]
		p.next++
		if v.packet == &packet[0] {
			return v
		}
	}
	return nil
}

// Flush implements listener.Worker: the batch ends.
func (p *Part) Flush() {
	p.forget()
	if p.worker != nil {
		p.s.workers.Put(p.worker)
		p.worker = nil
	}
	p.s.Flush()
}
