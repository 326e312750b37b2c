package listener

import (
	"net/netip"
	"slices"
)

// Initial and maximum sizes of one socket's share of a [Batch].
const (
	batchMinPackets = 8
	batchMinBytes   = 2 << 10
	batchMaxBytes   = 64 << 10
)

// Batch collects the late answers of one goroutine, so that all answers for one UDP
// socket take one system call. The zero value is ready to use. A Batch must not be
// used by two goroutines at the same time or copied after the first Add.
type Batch struct {
	groups []*batchGroup
}

// batchGroup holds the answers that wait for one socket.
type batchGroup struct {
	late *lateSend
	data []byte // the messages; never reallocated while messages wait
}

// Add queues a copy of msg for to. It may send the messages added before. Over TCP,
// where batching has no benefit, it sends msg at once.
func (b *Batch) Add(to ReplyTo, msg []byte) {
	s, ok := to.sink.(*udpSocket)
	if !ok || len(msg) == 0 || len(msg) > MaxMessageBytes {
		to.Send(msg)
		return
	}
	g := b.group(s)
	if g.late.out.Full() || len(g.data)+len(msg) > cap(g.data) {
		g.grow(s, len(msg))
	}
	start := len(g.data)
	g.data = append(g.data, msg...)
	g.late.queue(to, g.data[start:])
}

// Flush sends all queued messages. The caller must flush before it blocks.
func (b *Batch) Flush() {
	for i := 0; i < len(b.groups); {
		g := b.groups[i]
		g.flush()
		if g.late.sock.closing.Load() {
			b.groups = slices.Delete(b.groups, i, i+1)
			continue
		}
		i++
	}
}

// group returns the share of b for s. The linear search is fast, because there is
// only one socket for each core and address.
func (b *Batch) group(s *udpSocket) *batchGroup {
	for _, g := range b.groups {
		if g.late.sock == s {
			return g
		}
	}
	g := &batchGroup{late: newLateSend(s, batchMinPackets), data: make([]byte, 0, batchMinBytes)}
	b.groups = append(b.groups, g)
	return g
}

// grow flushes a full group and makes it larger, with space for at least need octets.
func (g *batchGroup) grow(s *udpSocket, need int) {
	g.flush()
	if n := len(g.late.out.Headers); n < batchPackets {
		g.late.out = newOutgoing(2*n, s.v6)
	}
	if n := cap(g.data); n < batchMaxBytes {
		g.data = make([]byte, 0, max(2*n, need))
	}
}

func (g *batchGroup) flush() {
	g.late.flush()
	g.data = g.data[:0]
}

// lateSend sends answers through one socket from any goroutine. The kernel accepts
// concurrent sends, so no lock is needed; RawConn.Control keeps the descriptor open.
type lateSend struct {
	sock    *udpSocket
	out     *outgoing
	control func(fd uintptr) // the method value send, allocated once
}

// newLateSend returns a lateSend for batches of count messages.
func newLateSend(s *udpSocket, count int) *lateSend {
	l := &lateSend{sock: s, out: newOutgoing(count, s.v6)}
	l.control = l.send
	return l
}

// queue queues msg, which must not change until flush.
func (l *lateSend) queue(to ReplyTo, msg []byte) {
	local := to.local
	if l.sock.local.IsValid() {
		local = netip.Addr{} // the socket has no other address
	}
	l.out.addTo(msg, to.peer, to.scope, local)
}

// flush sends the queued messages, or counts them as late if the socket is closed.
func (l *lateSend) flush() {
	if l.out.Len() == 0 {
		return
	}
	if err := l.sock.raw.Control(l.control); err != nil {
		l.sock.stats.late.Add(uint64(l.out.Len()))
		l.out.Drop()
	}
}

func (l *lateSend) send(fd uintptr) {
	want := l.out.Len()
	sent, errno := l.out.Flush(int(fd))
	l.sock.stats.lateReplies.Add(uint64(sent))
	if sent != want {
		l.sock.sendFailed(want-sent, errno)
	}
}

// Send implements [Sink].
func (s *udpSocket) Send(to ReplyTo, msg []byte) {
	if len(msg) == 0 {
		return
	}
	if len(msg) > MaxMessageBytes {
		s.stats.replyOversize.Add(1)
		return
	}
	l := s.single.Get().(*lateSend)
	l.queue(to, msg)
	l.flush()
	l.out.Release() // msg belongs to the caller
	s.single.Put(l)
}
