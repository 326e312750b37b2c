package transport

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/wake"
	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	// dialTimeout leaves time for one lost packet (the kernel repeats it after 1 s, RFC 6298
	// §2), and for asking another server within Config.Timeout.
	dialTimeout = 2 * time.Second
	// streamIdle is how long a connection without traffic stays open. It is shorter than what
	// servers use, so that we close first (RFC 7766 §6.2.3).
	streamIdle = 5 * time.Second
	// streamBytes is the initial size of a connection's read buffer. The buffer grows as the
	// octets of a long message arrive, not because a length prefix announces them, and is
	// released afterwards.
	streamBytes = 2 << 10
	// maxStrayReplies is how many messages in a row may answer no question.
	maxStrayReplies = 64
	// lastGasp is the time in nanoseconds after the first answer. A server that closes the
	// connection within it counts as one that closes after every answer.
	lastGasp = int64(100 * time.Millisecond)
)

// stream is one TCP connection to a server. Questions are pipelined and answered in any order
// (RFC 7766 §6.2.1.1, §7). TCP.Run owns its two goroutines, one to read and one to write.
// Goroutines that ask only append to out.
type stream struct {
	pool *streamPool   // the pool that it belongs to
	one  bool          // carries one question only
	made int64         // when it was made, before it was connected
	wake chan struct{} // has an element when out got something
	gone chan struct{} // closed when nothing is to be written any more

	mu      sync.Mutex // guards what follows
	nc      net.Conn   // nil until it is connected
	table   calls      // the calls that wait for replies, by id
	out     []byte     // framed questions, not yet written
	shut    bool       // takes no more questions, ends when none is open
	ended   bool       // the connection has ended
	replies int        // that answered a question
	used    int64      // when octets last came or a question was added
	replied int64      // when the last one of them came
	idle    int64      // how long it stays open without traffic, in nanoseconds
	// Only over TLS. expires is when the connection stops taking questions, 0 for never.
	// waiting is since when a question has waited without any octets arriving, 0 if none
	// does; stalled says that it waited too long. trust is what the server was authenticated
	// with.
	expires, waiting int64
	stalled          bool   // see expires
	trust            *Trust // see expires
}

// dialling reports whether s is not connected yet.
func (s *stream) dialling() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nc == nil && !s.ended
}

// usable reports whether s is connected and takes questions.
func (s *stream) usable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nc != nil && !s.shut && !s.ended
}

// retire makes a connection over TLS take no more questions if it is past its age, does not
// answer, or was authenticated with other certificates than those of trust.
func (s *stream) retire(now int64, trust *Trust) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pool.secure == nil || s.shut {
		return
	}
	s.stalled = s.waiting != 0 && s.nc != nil && now >= s.waiting+stalledAfter
	if s.stalled || s.nc != nil && s.trust != trust || s.expires != 0 && now >= s.expires {
		s.shut = true
		s.endIfIdle()
	}
}

// keepAlive sets how long s stays open without traffic.
func (s *stream) keepAlive(idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = int64(min(idle, maxTLSIdle))
}

// load returns the number of open questions. ok is false if s takes no more.
func (s *stream) load() (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.table), !s.shut && !s.ended && (!s.one || len(s.table) == 0)
}

// addCall queues c's question under the first free one of ids. It returns false if s takes no
// question.
func (s *stream) addCall(c *Call, ids uint64, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut || s.ended {
		return false
	}
	for s.table.find(uint16(ids)) != nil {
		if ids >>= 16; ids == 0 {
			return false
		}
	}
	c.id, c.stream, c.sent = uint16(ids), s, now
	s.table.insert(c)
	s.used = now
	start := len(s.out)
	s.out = append(s.out, 0, 0)
	if s.pool.encrypted() {
		s.out = c.appendPadded(s.out)
	} else {
		s.out = c.append(s.out)
	}
	if s.pool.secure != nil {
		c.Cold = s.nc == nil
		if s.waiting == 0 {
			s.waiting = now
		}
	}
	binary.BigEndian.PutUint16(s.out[start:], uint16(len(s.out)-start-2))
	wake.Up(s.wake)
	return true
}

// remove removes a call whose caller no longer waits for it, and reports whether it was in
// the table.
func (s *stream) remove(c *Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := s.table.remove(c)
	if ok {
		s.endIfIdle()
	}
	return ok
}

// readd adds a call that was removed again, under the ID that it had.
func (s *stream) readd(c *Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.table.find(c.id) != nil {
		return false
	}
	s.table.insert(c)
	return true
}

// match removes and returns the call that msg answers.
func (s *stream) match(msg []byte, now int64) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(msg) < wire.HeaderLen || wire.Flags(msg)&wire.FlagQR == 0 {
		return nil
	}
	c := s.table.find(wire.ID(msg))
	if c == nil || !c.matches(msg) {
		return nil
	}
	s.table.remove(c)
	s.replies++
	s.replied = now
	if len(s.table) == 0 {
		s.waiting = 0
	}
	s.shut = s.shut || s.one
	return c
}

// doubt makes s take no more questions if it has answered nothing since c was sent.
func (s *stream) doubt(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replied < c.sent {
		s.shut = true
		s.endIfIdle()
	}
}

// close makes s end once no question is open.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	s.endIfIdle()
}

// endIfIdle makes run end if there is nothing left to do. mu must be held.
func (s *stream) endIfIdle() {
	if s.shut && len(s.table) == 0 && s.nc != nil {
		_ = s.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// run connects and exchanges messages until the connection ends. The questions that are still
// open have then failed, and their owners are told before the connection is closed, because a
// server that reads nothing delays the close_notify.
func (s *stream) run(ctx context.Context) {
	var nc net.Conn
	err := s.guard(func() (err error) { nc, err = s.dial(ctx); return err })
	if err != nil {
		s.end(false, err)
		return
	}
	closeIt := func() { _ = s.guard(nc.Close) }
	var writer sync.WaitGroup
	writer.Go(func() {
		if s.guard(func() error { s.write(nc); return nil }) != nil {
			abort(nc)
		}
	})
	stop := context.AfterFunc(ctx, closeIt)
	err = s.guard(func() error { return s.read(nc) })
	stop()
	close(s.gone)
	s.end(true, err)
	closeIt()
	writer.Wait()
}

var errCrash = errors.New("internal error")

// guard calls f. If f panics, guard reports the panic and returns an error.
func (s *stream) guard(f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.pool.tcp.env.Crashed(s.pool.ep.Addr, nil, cause)
			err = errCrash
		}
	}()
	return f()
}

// dial connects to the server, including the handshake if it is over TLS, within dialTimeout.
func (s *stream) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	p := s.pool
	began := p.tcp.env.Now()
	for {
		nc, err := p.tcp.connect(ctx, &p.ep)
		if p.secure == nil {
			if err == nil {
				s.connected(nc, nil)
			}
			return nc, err
		}
		if err != nil {
			return nil, p.fault(err, phase{})
		}
		if !p.encrypted() {
			s.connected(nc, nil)
			p.opened(s, nil, time.Duration(p.tcp.env.Now()-began))
			return nc, nil
		}
		conn, trust, fault := p.handshake(ctx, nc)
		if fault == nil {
			s.connected(conn, trust)
			p.opened(s, conn, time.Duration(p.tcp.env.Now()-began))
			return conn, nil
		}
		if !p.otherALPN(fault) {
			return nil, fault
		}
	}
}

// connected makes s use nc. trust is what the server was authenticated with, nil in clear
// text.
func (s *stream) connected(nc net.Conn, trust *Trust) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.pool.tcp.env.Now()
	s.nc, s.used, s.trust = nc, now, trust
	if s.pool.secure != nil {
		s.expires = now + int64(float64(tlsAge)*(0.9+0.2*mathrand.Float64()))
		if s.waiting != 0 {
			s.waiting = now
		}
	}
}

// connect opens a TCP connection to ep from its source address and interface.
func connect(ctx context.Context, ep *route.Server) (net.Conn, error) {
	d := &net.Dialer{KeepAlive: -1}
	if source := ep.Source.Addr(); source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	if ep.Interface != "" {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				failed = os.NewSyscallError("bindtodevice", unix.BindToDevice(int(fd), ep.Interface))
			})
			return errors.Join(err, failed)
		}
	}
	return d.DialContext(ctx, "tcp", ep.Addr.String())
}

// write sends the queued questions until the connection ends.
func (s *stream) write(nc net.Conn) {
	for {
		s.mu.Lock()
		out := s.out
		s.out = nil
		s.mu.Unlock()
		if len(out) == 0 {
			select {
			case <-s.wake:
				continue
			case <-s.gone:
				return
			}
		}
		if nc.SetWriteDeadline(time.Now().Add(dialTimeout)) != nil {
			return
		}
		if _, err := nc.Write(out); err != nil {
			abort(nc) // ends read, which reports why
			return
		}
	}
}

// abort closes nc without a close_notify, because the send buffer may have no room for it.
func abort(nc net.Conn) {
	if conn, ok := nc.(*tls.Conn); ok {
		nc = conn.NetConn()
	}
	_ = nc.Close()
}

// end reports to the open calls that the connection has ended.
func (s *stream) end(connected bool, err error) {
	p := s.pool
	now := p.tcp.env.Now()
	s.mu.Lock()
	s.ended, s.out, s.nc = true, nil, nil
	list := s.table.takeAll()
	replies := s.replies
	single := err != nil && s.replies == 1 && (len(list) > 0 || now-s.replied < lastGasp)
	s.mu.Unlock()
	p.remove(s, len(list) > 0, now)
	if single {
		p.answersOnce(now)
	}
	p.tcp.conns.Add(-1)
	why := Lost
	if !connected {
		why = NotConnected
	}
	if p.secure != nil && !errors.Is(err, context.Canceled) {
		why = p.over(s, streamEnd{connected, err, len(list), replies}, now)
		if single {
			p.secure.report(Handshake{Kind: AnswersOnce}, now)
		}
	}
	if len(list) == 0 {
		return
	}
	ev := p.tcp.env.Acquire()
	for _, c := range list {
		ev.Failed(c, why, now)
	}
	ev.Flush()
	p.tcp.env.Recycle(ev)
}
