package listener

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/wake"
)

const (
	// queuedBytes is the number of octets of unwritten answers at which a connection
	// is no longer read.
	queuedBytes = 256 << 10
	// chunkBytes is how many octets must be written within Config.writeTimeout.
	chunkBytes = 64 << 10
	// lingerTime and lingerReads limit how long hangUp reads.
	lingerTime  = 200 * time.Millisecond
	lingerReads = 512
)

// conn is one TCP connection. Its goroutine, which executes run, reads and handles
// queries. Answers are queued under mu by any goroutine and written without blocking.
// If the kernel does not accept all octets at once, a separate goroutine, which
// exists only until then, writes the rest.
type conn struct {
	// The fields of this group do not change.
	srv   *Server
	nc    stream          // the connection
	raw   syscall.RawConn // of nc
	peer  netip.AddrPort  // the client, without a zone
	local netip.Addr      // the address that the client connected to, without a zone
	wake  chan struct{}   // has an element after a change that run may wait for

	// The fields of this group belong to run's goroutine.
	in     input         // octets read and not handled yet
	worker guardedWorker // handles the queries
	began  int64         // Unix nanoseconds when the work on the current input began

	// mu protects the fields of this group.
	mu      sync.Mutex
	queue   []byte    // framed answers not written yet; nil if empty
	counted int       // octets of queue's capacity that count against Config.maxBufferBytes
	resting int       // the same for the octets that writeRest is writing
	pending int       // queries without an answer
	writing bool      // writeRest is running
	gone    bool      // nothing will be written any more
	failed  bool      // tryWrite had an error
	ending  time.Time // when the connection must end; zero while queries are read
	partial bool      // part of a query has been read
	last    int64     // Unix nanoseconds of the last query or answer

	writeNow func(fd uintptr) bool // the method value tryWrite, allocated once
}

var _ Sink = (*conn)(nil)

// stream is a [net.TCPConn].
type stream interface {
	net.Conn
	CloseWrite() error
}

func newConn(srv *Server, nc *net.TCPConn) (*conn, error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{
		srv: srv, nc: nc, raw: raw,
		peer: bare(nc.RemoteAddr()), local: bare(nc.LocalAddr()).Addr(),
		wake: make(chan struct{}, 1),
		last: time.Now().UnixNano(),
	}
	c.writeNow, c.in.read = c.tryWrite, c.tryRead
	c.worker = newGuardedWorker(srv)
	return c, nil
}

// run serves the connection until it ends.
func (c *conn) run() {
	defer c.srv.conns.remove(c)
	defer c.finish()
	defer c.dropInput()
	defer func() { // first of all, so that the others leave nothing behind
		if cause := recover(); cause != nil {
			c.srv.panicked(cause, nil, ReplyTo{peer: c.peer}, nil)
		}
	}()
	var started time.Time // when the first octet of the current message arrived
	for {
		rest, ok := c.work(c.in.buf)
		if !ok {
			return
		}
		if len(rest) == 0 {
			started = time.Time{}
		} else if len(rest) < len(c.in.buf) || started.IsZero() {
			started = time.Now()
		}
		if !c.keep(rest) || !c.readMore(started) {
			return
		}
	}
}

// work handles every complete message in b and returns the remaining octets. It waits
// when the connection is at a limit. It returns false if the connection must end.
func (c *conn) work(b []byte) (rest []byte, ok bool) {
	defer c.flush()
	defer c.worker.flush()
	c.began = time.Now().UnixNano()
	for {
		msg, rest, whole := nextFrame(b)
		if !whole {
			return b, true
		}
		if len(msg) < minMessageBytes {
			c.srv.tcp.malformed.Add(1)
			c.hangUp()
			return nil, false
		}
		if !c.waitForRoom() {
			return nil, false
		}
		c.handleQuery(msg)
		b = rest
	}
}

// handleQuery passes one query to the handler and queues an immediate answer.
func (c *conn) handleQuery(msg []byte) {
	c.srv.tcp.queries.Add(1)
	space := c.srv.memory.replyBuffer()
	defer c.srv.memory.returnReplyBuffer(space)
	to := ReplyTo{sink: c, peer: c.peer, local: c.local, stream: true}
	if reply := c.answer(msg, to, space); len(reply) != 0 {
		c.pushLocked(reply)
	}
}

// pushLocked calls push with mu held. Only run's goroutine calls it; work flushes.
func (c *conn) pushLocked(reply []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(reply, c.began)
}

// answer calls the handler and recovers from its panics.
func (c *conn) answer(msg []byte, to ReplyTo, reply []byte) (answer []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			if answer = c.srv.panicked(cause, msg, to, reply); len(answer) == 0 {
				to.Drop()
			}
		}
	}()
	return c.worker.worker.Handle(msg, to, reply)
}

// waitForRoom waits until another query may be handled, and counts it as pending. It
// returns false if the connection must end.
func (c *conn) waitForRoom() bool {
	return c.wait(c.srv.cfg.pendingTimeout, func() bool {
		if c.pending >= c.srv.cfg.maxPending || len(c.queue) >= queuedBytes {
			return false
		}
		if c.writing && len(c.queue) >= smallBytes {
			return false // the client reads slowly, so the queue cannot be emptied now
		}
		c.pending++
		c.partial = true
		c.last = max(c.last, c.began)
		return true
	})
}

// awaitAnswers waits until every query is answered and every answer is written, or
// until nothing has changed for limit.
func (c *conn) awaitAnswers(limit time.Duration) {
	c.wait(limit, func() bool { return c.pending == 0 && len(c.queue) == 0 && !c.writing })
}

// hangUp ends the connection from our side. It sends the answers and the end of the
// stream, and then for a moment reads and discards what the client still sends:
// closing a connection with unread octets resets it, and the client would lose the
// answers that are still on their way.
func (c *conn) hangUp() {
	c.awaitAnswers(c.srv.cfg.grace)
	if c.nc.CloseWrite() != nil || c.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	space := c.srv.memory.smallBuffer()
	defer c.srv.memory.returnBuffer(space)
	b := space[:cap(space)]
	for range lingerReads {
		if _, err := c.nc.Read(b); err != nil {
			return
		}
	}
}

// wait calls ready, with mu held, after each change until ready returns true. It
// returns false if the connection broke, if nothing changed for limit, or if
// Config.grace has passed since the server began to stop.
func (c *conn) wait(limit time.Duration, ready func() bool) bool {
	var timer *time.Timer
	for {
		c.mu.Lock()
		done, gone := !c.gone && ready(), c.gone
		if !c.ending.IsZero() {
			limit = min(limit, time.Until(c.ending))
		}
		if !done && !gone {
			c.write() // ready may depend on the queue being written
			done, gone = !c.gone && ready(), c.gone
		}
		c.mu.Unlock()
		if done || gone || limit < 0 {
			return done
		}
		c.worker.flush() // ready may depend on answers that the worker has collected
		if timer == nil {
			timer = time.NewTimer(limit)
			defer timer.Stop()
		} else {
			timer.Reset(limit)
		}
		select {
		case <-c.wake:
		case <-timer.C:
			return false
		}
		c.began = time.Now().UnixNano()
	}
}

// changed wakes run's goroutine if it waits.
func (c *conn) changed() { wake.Up(c.wake) }

// Send implements [Sink].
func (c *conn) Send(_ ReplyTo, msg []byte) {
	if len(msg) == 0 {
		c.drop()
		return
	}
	now := time.Now().UnixNano()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(msg, now)
	c.write()
	c.changed()
}

// push queues an answer. unixNano is the current time. mu must be held.
func (c *conn) push(msg []byte, unixNano int64) {
	if c.gone {
		c.srv.tcp.late.Add(1)
		return
	}
	c.pending = max(c.pending-1, 0)
	c.last = max(c.last, unixNano)
	if len(msg) > MaxMessageBytes {
		c.srv.tcp.replyOversize.Add(1)
	} else {
		c.srv.tcp.replies.Add(1)
		c.enqueue(msg)
	}
}

// drop records that a pending query will never be answered.
func (c *conn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = max(c.pending-1, 0)
	c.srv.tcp.dropped.Add(1)
	c.changed()
}

// enqueue appends an answer to the queue. If the queue would become larger than the
// largest buffer that is reused, enqueue first writes it: growing further would
// allocate with each answer, which costs more than writing. If the queue takes too
// much memory, the connection is closed unless the client accepts the whole queue at
// once. mu must be held.
func (c *conn) enqueue(msg []byte) {
	if len(c.queue) > 0 && len(c.queue)+prefixBytes+len(msg) > largeBytes {
		if c.write(); c.gone {
			return
		}
	}
	if c.queue == nil {
		c.queue = c.srv.memory.smallBuffer()
	}
	c.queue = appendFrame(c.srv.memory.room(c.queue, prefixBytes+len(msg)), msg)
	more := cap(c.queue) - c.counted
	if cap(c.queue) <= smallBytes || more == 0 {
		return
	}
	c.counted += more
	if c.srv.memory.charge(more, c.counted+c.resting) {
		return
	}
	if c.write(); len(c.queue) > 0 || c.writing {
		c.srv.tcp.shed.Add(1)
		c.breakOff()
	}
}

// dropQueue empties the queue and returns its memory. mu must be held.
func (c *conn) dropQueue() {
	c.srv.memory.uncharge(c.counted)
	c.srv.memory.returnBuffer(c.queue)
	c.queue, c.counted = nil, 0
}

// flush writes the answers that push has queued.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write()
}

// write writes as much of the queue as the kernel accepts at once, and starts
// writeRest for the rest. mu must be held.
func (c *conn) write() {
	if len(c.queue) == 0 || c.writing || c.gone {
		return
	}
	// No other goroutine writes, so this does not wait for the descriptor's lock.
	if err := c.raw.Write(c.writeNow); err != nil || c.failed {
		c.breakOff()
		return
	}
	if len(c.queue) == 0 {
		c.dropQueue()
		return
	}
	c.writing = true
	go c.writeRest()
}

// tryWrite writes as much as the kernel accepts at once. It must not close the
// connection, because closing waits for it. mu must be held.
func (c *conn) tryWrite(fd uintptr) bool {
	for len(c.queue) > 0 {
		n, err := unix.SendmsgN(int(fd), c.queue, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			c.queue = append(c.queue[:0], c.queue[n:]...)
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return true
		default:
			c.failed = true
			return true
		}
	}
	return true
}

// writeRest writes the queue until it is empty; the client has Config.writeTimeout
// for each chunk. finish waits for its end.
func (c *conn) writeRest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && !c.gone {
		chunks := c.queue
		c.queue, c.counted, c.resting = nil, 0, c.counted
		c.mu.Unlock()
		err := c.writeChunks(chunks)
		c.mu.Lock()
		c.srv.memory.uncharge(c.resting)
		c.srv.memory.returnBuffer(chunks)
		c.resting = 0
		c.last = time.Now().UnixNano()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.srv.tcp.writeTimeouts.Add(1)
			}
			c.breakOff()
		}
		c.changed()
	}
	c.writing = false
	c.changed()
}

// errPanicked ends a connection whose writing panicked.
var errPanicked = errors.New("listener: panic while writing")

// writeChunks writes b in chunks of chunkBytes, each within Config.writeTimeout. A panic
// is logged and returned as an error, so that writeRest, which holds mu around the call,
// closes the connection and keeps its counts right.
func (c *conn) writeChunks(b []byte) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			c.srv.panicked(cause, nil, ReplyTo{peer: c.peer}, nil)
			err = errPanicked
		}
	}()
	for len(b) > 0 {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.cfg.writeTimeout)); err != nil {
			return err
		}
		n, err := c.nc.Write(b[:min(len(b), chunkBytes)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return c.nc.SetWriteDeadline(time.Time{})
}

// breakOff closes the connection and drops its queue. mu must be held.
func (c *conn) breakOff() {
	c.gone = true
	c.dropQueue()
	_ = c.nc.Close()
	c.changed()
}

// abort closes the connection. Any goroutine may call it.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breakOff()
}

// drain makes run stop reading, and end when everything is answered or Config.grace
// has passed.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = time.Now().Add(c.srv.cfg.grace)
	// If the connection is closed already, that ends the read as well.
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	c.changed()
}

// finish closes the connection and waits for writeRest.
func (c *conn) finish() {
	c.abort()
	for {
		c.mu.Lock()
		writing := c.writing
		c.mu.Unlock()
		if !writing {
			return
		}
		<-c.wake
	}
}

// activity says what a connection is doing. If one must be closed for another, the
// one with the lowest activity is.
type activity int

const (
	idle    activity = iota // waits for a query
	stalled                 // the client has been slow to send or receive for stallTime
	busy                    // reads or answers a query, or writes an answer
)

// stallTime is how long a client may take for a message before its connection counts
// as stalled.
const stallTime = time.Second

// activity returns what the connection is doing at now, and the time of its last
// query or answer. Both times are in Unix nanoseconds.
func (c *conn) activity(now int64) (a activity, last int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.pending == 0 && !c.partial && !c.writing:
		return idle, c.last
	case (c.partial && c.pending == 0 || c.writing) && now-c.last >= int64(stallTime):
		return stalled, c.last
	}
	return busy, c.last
}
