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
	// batchPackets is the most packets one system call moves. More gain little
	// (the calls' fixed cost is gone by then) and make early packets wait.
	batchPackets = 32
	// arenaBytes holds a batch of ordinary replies and always one of any size.
	arenaBytes = MaxMessageBytes + 32<<10
	// yieldBatches is how many batches may follow one another before the
	// socket's goroutine lets others run.
	yieldBatches = 64
)

// udpSocket is one of the sockets that share a UDP port.
type udpSocket struct {
	srv     *Server
	conn    *net.UDPConn
	raw     syscall.RawConn
	v6      bool
	local   netip.Addr // the bound address; not valid for a wildcard
	closing atomic.Bool
	single  sync.Pool // of *lateSend
	errors  lograte.Limiter
	stats   udpCounters
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
	s.single.New = func() any { return newLateSend(s) }
	return s, nil
}

// run receives and answers until the socket is closed.
func (s *udpSocket) run() {
	l := newUDPLoop(s)
	for {
		err := s.raw.Read(l.readable)
		if s.closing.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		s.receiveFailed(err)
	}
}

// close ends run.
func (s *udpSocket) close() {
	s.closing.Store(true)
	_ = s.conn.Close()
}

func (s *udpSocket) receiveFailed(err error) {
	s.stats.receiveErrors.Add(1)
	if n, ok := s.errors.Allow(time.Now().UnixNano()); ok {
		s.srv.cfg.Logger.Warn("receiving UDP packets failed", slog.Any("error", err), slog.Uint64("suppressed", n))
	}
	// Whatever it is, asking again at once would only burn the processor.
	time.Sleep(time.Millisecond)
}

func (s *udpSocket) sendFailed(failed int, err error) {
	s.stats.sendErrors.Add(uint64(failed))
	if n, ok := s.errors.Allow(time.Now().UnixNano()); ok {
		s.srv.cfg.Logger.Warn("sending UDP replies failed", slog.Any("error", err), slog.Uint64("suppressed", n))
	}
}

// udpLoop is what the goroutine of a socket owns.
type udpLoop struct {
	*udpSocket
	in    *incoming
	out   *outgoing
	arena []byte   // replies of this batch
	used  int      // of arena
	drops drops    // of this batch
	ahead [][]byte // packets that the handler is shown first
	part  part
}

func newUDPLoop(s *udpSocket) *udpLoop {
	return &udpLoop{
		udpSocket: s,
		part:      newPart(s.srv),
		in:        newIncoming(batchPackets, s.srv.cfg.PacketBytes, s.v6, !s.local.IsValid()),
		out:       newOutgoing(batchPackets, s.v6),
		arena:     make([]byte, arenaBytes),
	}
}

// readable works off what waits at the socket. It returns false to be called
// again when there is more, and true when the socket is closing.
//
// The poller is edge-triggered: a packet that arrives after the kernel found
// the queue empty wakes it again. recvmmsg itself finds that out when it brings
// less than asked for, so a lone packet costs no second call; after a larger
// batch more have probably come meanwhile and asking is cheaper than parking.
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

// preview shows the handler the packets that it will get.
func (l *udpLoop) preview(n int) {
	l.ahead = l.ahead[:0]
	for i := range n {
		if h := &l.in.Headers[i]; !h.Truncated() && h.Size >= minMessageBytes && !l.in.peers[i].portZero() {
			l.ahead = append(l.ahead, l.in.Packet(i))
		}
	}
	l.part.preview(l.ahead)
}

// drops counts packets of a batch that the handler does not get.
type drops struct{ oversize, short, portZero uint64 }

// answerFrom answers packets from number i on. It returns n or, when the handler
// panicked, the number of the packet after that one: so a batch needs one
// recover, not one for each packet.
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

// replyTo is where the answer to packet i goes. source stays invalid where the
// socket has only one address.
func (l *udpLoop) replyTo(i int) (to ReplyTo, source netip.Addr) {
	to = ReplyTo{sink: l.udpSocket, local: l.local}
	to.peer, to.scope = l.in.peers[i].peer()
	if !to.local.IsValid() {
		source = l.in.local(i)
		to.local = source
	}
	return to, source
}

// space is where the next reply may be put.
func (l *udpLoop) space(fd uintptr) []byte {
	if len(l.arena)-l.used < MaxMessageBytes {
		l.flush(fd)
	}
	return l.arena[l.used:l.used]
}

// queue queues the reply to packet i, made after space was called.
func (l *udpLoop) queue(reply []byte, i int, source netip.Addr) {
	if len(reply) == 0 {
		return
	}
	if len(reply) > MaxMessageBytes {
		l.stats.replyOversize.Add(1)
		return
	}
	if &reply[0] != &l.arena[l.used] {
		reply = append(l.arena[l.used:l.used], reply...) // not in the space it was given
	}
	l.used += len(reply)
	l.out.add(reply, &l.in.peers[i], source)
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
