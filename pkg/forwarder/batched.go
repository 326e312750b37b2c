package forwarder

import (
	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
)

// Batched is a handler for a listener that calls Flush after the packets of one
// batch: questions for other servers then leave together. A listener takes a
// [Part] of it for each of its goroutines.
type Batched struct{ f *Forwarder }

// Part is a [Batched] that one goroutine at a time may use: it reads the clock
// and counts once per batch. A panic in it is the listener's to catch; give it
// [OnPanic].
type Part struct {
	f    *Forwarder
	now  int64  // of the batch, 0 between two of them
	hits uint64 // not yet counted
	key  [answercache.MaxKey]byte
}

var (
	_ listener.Handler  = Batched{}
	_ listener.Flusher  = Batched{}
	_ listener.Splitter = Batched{}
	_ listener.Handler  = (*Part)(nil)
	_ listener.Flusher  = (*Part)(nil)
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
func (b Batched) Split() listener.Handler { return &Part{f: b.f} }

// Handle implements listener.Handler.
func (p *Part) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	if p.now == 0 {
		p.now = p.f.now()
	}
	return p.f.handle(packet, &asker{to: to, part: p}, reply, p.key[:0], p.now)
}

// Flush ends a batch: it sends the questions that Handle left waiting.
func (p *Part) Flush() {
	p.now = 0
	if p.hits != 0 {
		p.f.tallies[0].hits.Add(p.hits)
		p.hits = 0
	}
	p.f.set.Flush()
}
