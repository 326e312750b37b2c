package listener

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/internal/mmsg"
)

const (
	// batchPackets is the largest number of packets that one system call receives or
	// sends. More would help little, because the fixed cost of a call is already
	// small for each packet, and would delay the first packets.
	batchPackets = 32
	// arenaBytes is enough for a batch of ordinary replies, and always for one reply
	// of any size.
	arenaBytes = MaxMessageBytes + 32<<10
	// yieldBatches is how many batches a socket's goroutine handles in a row before it
	// lets other goroutines run.
	yieldBatches = 64
)

// udpSocket is one of the sockets that share a UDP port. Fields without another note
// do not change.
type udpSocket struct {
	srv     *Server         // the server that it belongs to
	conn    *net.UDPConn    // the socket
	raw     syscall.RawConn // of conn
	v6      bool            // whether it is an IPv6 socket
	local   netip.Addr      // the bound address, without a zone; not valid for a wildcard
	closing atomic.Bool     // set by close
	single  sync.Pool       // of *lateSend, for Send; any goroutine may use it
	errors  lograte.Limiter // limits the logging of errors; any goroutine may use it
	stats   udpCounters     // any goroutine may read it
}

var _ Sink = (*udpSocket)(nil)

func newUDPSocket(srv *Server, conn *net.UDPConn, addr netip.Addr) (*udpSocket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &udpSocket{srv: srv, conn: conn, raw: raw, v6: !addr.Is4()}
	if !addr.IsUnspecified() {
		s.local = addr.WithZone("")
	}
	s.single.New = func() any { return newLateSend(s, 1) }
	return s, nil
}

// run receives and answers queries until the socket is closed.
func (s *udpSocket) run() {
	for !s.closing.Load() {
		s.receive()
	}
}

// receive does the work of run until a panic ends it, which the handler's do not. The
// batch is lost, and so is its state, which nobody can trust any more.
func (s *udpSocket) receive() {
	defer func() {
		if cause := recover(); cause != nil {
			s.srv.panicked(cause, nil, ReplyTo{}, nil)
			time.Sleep(time.Millisecond)
		}
	}()
	l := newUDPLoop(s)
	for {
		err := s.raw.Read(l.readable)
		if s.closing.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		s.receiveFailed(err)
	}
}

// close closes the socket, which ends run.
func (s *udpSocket) close() {
	s.closing.Store(true)
	_ = s.conn.Close()
}

func (s *udpSocket) receiveFailed(err error) {
	s.stats.receiveErrors.Add(1)
	if n, ok := s.errors.Allow(time.Now().UnixNano()); ok {
		s.srv.cfg.Logger.Warn("cannot receive UDP packets", slog.Any("error", err), lograte.Suppressed(n))
	}
	// Whatever the error is, trying again at once would only waste processor time.
	time.Sleep(time.Millisecond)
}

func (s *udpSocket) sendFailed(failed int, err error) {
	s.stats.sendErrors.Add(uint64(failed))
	if n, ok := s.errors.Allow(time.Now().UnixNano()); ok {
		s.srv.cfg.Logger.Warn("cannot send UDP replies", slog.Any("error", err), lograte.Suppressed(n))
	}
}

// udpLoop receives from a socket and answers. Only the socket's goroutine uses its
// fields.
type udpLoop struct {
	*udpSocket               // the socket
	in         *incoming     // the batch of packets being handled
	out        *outgoing     // replies that wait to be sent
	arena      []byte        // the octets of these replies
	used       int           // octets of arena in use
	drops      drops         // packets of this batch that were dropped
	ahead      [][]byte      // packets that preview shows to the worker; reused
	part       guardedWorker // handles the packets
}

func newUDPLoop(s *udpSocket) *udpLoop {
	return &udpLoop{
		udpSocket: s,
		part:      newGuardedWorker(s.srv),
		in:        newIncoming(batchPackets, packetBytes, s.v6, !s.local.IsValid()),
		out:       newOutgoing(batchPackets, s.v6),
		arena:     make([]byte, arenaBytes),
	}
}

// readable handles the packets that wait at the socket. It returns false to be called
// again when more arrive, and true if the socket is closing.
//
// Go's poller is edge-triggered: a packet that arrives after the kernel has found the
// queue empty wakes it again. recvmmsg finds the queue empty when it returns fewer
// packets than it could, so no second call is needed after a single packet. After a
// larger batch, more packets have probably arrived, and another call is cheaper than
// parking.
func (l *udpLoop) readable(fd uintptr) bool {
	for batches := 1; !l.closing.Load(); batches++ {
		n, errno := mmsg.Receive(int(fd), l.in.Headers)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return false
		case unix.EINTR:
			continue
		default:
			l.receiveFailed(errno)
			continue
		}
		l.work(fd, n)
		if n < 2 {
			return false
		}
		if batches%yieldBatches == 0 {
			runtime.Gosched()
		}
	}
	return true
}

// work answers the n packets just received.
func (l *udpLoop) work(fd uintptr, n int) {
	l.drops = drops{}
	if n > 1 {
		l.preview(n)
	}
	for i := 0; i < n; {
		i = l.answerFrom(fd, i, n)
	}
	l.part.flush()
	l.flush(fd)
	st, d := &l.stats, &l.drops
	st.batches.Add(1)
	st.queries.Add(uint64(n) - d.oversize - d.short - d.portZero)
	if d.oversize+d.short+d.portZero != 0 {
		st.oversize.Add(d.oversize)
		st.short.Add(d.short)
		st.portZero.Add(d.portZero)
	}
}

// preview shows the worker the packets of the batch that it will get.
func (l *udpLoop) preview(n int) {
	l.ahead = l.ahead[:0]
	for i := range n {
		if h := &l.in.Headers[i]; !h.Truncated() && h.Size >= minMessageBytes && !l.in.peers[i].portZero() {
			l.ahead = append(l.ahead, l.in.Packet(i))
		}
	}
	l.part.preview(l.ahead)
}

// drops counts the packets of a batch that the handler does not get.
type drops struct{ oversize, short, portZero uint64 }

// answerFrom answers the packets from index i on. It returns n or, if the handler
// panicked, the index after that packet. Thus a batch needs one deferred recover, not
// one for each packet.
func (l *udpLoop) answerFrom(fd uintptr, i, n int) (next int) {
	defer func() {
		if cause := recover(); cause != nil {
			to, source := l.replyTo(i)
			packet := l.in.Packet(i)
			l.queue(l.srv.panicked(cause, packet, to, l.space(fd)), i, source)
			l.in.reset(i)
			next = i + 1
		}
	}()
	for ; i < n; i++ {
		h := &l.in.Headers[i]
		switch {
		case h.Truncated():
			l.drops.oversize++
		case h.Size < minMessageBytes:
			l.drops.short++
		case l.in.peers[i].portZero():
			l.drops.portZero++
		default:
			to, source := l.replyTo(i)
			l.queue(l.part.worker.Handle(l.in.Packet(i), to, l.space(fd)), i, source)
		}
		l.in.reset(i)
	}
	return n
}

// replyTo returns where the answer to packet i goes. source is the address to send
// from; it is invalid if the socket has only one address.
func (l *udpLoop) replyTo(i int) (to ReplyTo, source netip.Addr) {
	to = ReplyTo{sink: l.udpSocket, local: l.local}
	to.peer, to.scope = l.in.peers[i].peer()
	if !to.local.IsValid() {
		source = l.in.local(i)
		to.local = source
	}
	return to, source
}

// space returns an empty slice of the arena for the next reply.
func (l *udpLoop) space(fd uintptr) []byte {
	if len(l.arena)-l.used < MaxMessageBytes {
		l.flush(fd)
	}
	return l.arena[l.used:l.used]
}

// queue queues the reply to packet i. space must have been called before.
func (l *udpLoop) queue(reply []byte, i int, source netip.Addr) {
	if len(reply) == 0 {
		return
	}
	if len(reply) > MaxMessageBytes {
		l.stats.replyOversize.Add(1)
		return
	}
	if &reply[0] != &l.arena[l.used] {
		reply = append(l.arena[l.used:l.used], reply...) // the handler used its own memory
	}
	l.used += len(reply)
	l.out.addReply(reply, &l.in.peers[i], source)
}

// flush sends the queued replies.
func (l *udpLoop) flush(fd uintptr) {
	want := l.out.Len()
	if want == 0 {
		return
	}
	sent, errno := l.out.Flush(int(fd))
	l.used = 0
	l.stats.replies.Add(uint64(sent))
	if sent != want {
		l.sendFailed(want-sent, errno)
	}
}
