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
)

const (
	// queuedBytes is how many octets of unwritten answers stop reading.
	queuedBytes = 256 << 10
	// chunkBytes is how much must be written within Config.WriteTimeout.
	chunkBytes = 64 << 10
	// lingerTime and lingerReads bound how long hangUp reads.
	lingerTime  = 200 * time.Millisecond
	lingerReads = 512
)

// conn is one TCP connection. Its goroutine reads and handles queries; answers
// are queued under mu by whoever has them and written without blocking. What
// the kernel does not take at once is left to a goroutine that exists only
// while there is such a rest.
type conn struct {
	srv   *Server
	nc    *net.TCPConn
	raw   syscall.RawConn
	peer  netip.AddrPort
	local netip.Addr
	wake  chan struct{} // has an element after a change that run may wait for
	in    input
	part  part  // of run's goroutine
	began int64 // Unix nanoseconds when work began, of run's goroutine

	mu      sync.Mutex
	queue   []byte    // framed answers, not yet written; nil when empty
	counted int       // octets of memory that count for the queue
	resting int       // octets that count for what writeRest writes
	pending int       // queries without an answer
	writing bool      // writeRest runs
	gone    bool      // nothing will be written any more
	failed  bool      // tryWrite met an error
	ending  time.Time // until when to end, once no more queries are read
	partial bool      // part of a query was read
	last    int64     // Unix nanoseconds of the last query or answer

	writeNow func(fd uintptr) bool // tryWrite as a value that exists once
}

var _ Sink = (*conn)(nil)

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
	c.part = newPart(srv)
	return c, nil
}

// run serves the connection to its end.
func (c *conn) run() {
	defer c.srv.conns.remove(c)
	defer c.finish()
	defer c.dropInput()
	var started time.Time // when the first octet of the input's message came
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

// work handles every whole message in b, waiting for room where there is none,
// and returns what remains. It returns false when the connection is to end.
func (c *conn) work(b []byte) (rest []byte, ok bool) {
	defer c.flush()
	defer c.part.flush()
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
		c.handle(msg)
		b = rest
	}
}

// handle gives one query to the handler and queues an immediate answer.
func (c *conn) handle(msg []byte) {
	c.srv.tcp.queries.Add(1)
	space := c.srv.memory.reply()
	defer c.srv.memory.replied(space)
	to := ReplyTo{sink: c, peer: c.peer, local: c.local, stream: true}
	if reply := c.answer(msg, to, space); len(reply) != 0 {
		c.pushLocked(reply)
	}
}

// pushLocked is push for the goroutine of run; work flushes.
func (c *conn) pushLocked(reply []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(reply, c.began)
}

// answer calls the handler and survives its panics.
func (c *conn) answer(msg []byte, to ReplyTo, reply []byte) (answer []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			if answer = c.srv.panicked(cause, msg, to, reply); len(answer) == 0 {
				to.Drop()
			}
		}
	}()
	return c.part.worker.Handle(msg, to, reply)
}

// waitForRoom waits until another query may be handled, and counts it. It
// returns false when the connection is to end.
func (c *conn) waitForRoom() bool {
	return c.wait(c.srv.cfg.PendingTimeout, func() bool {
		if c.pending >= c.srv.cfg.MaxPending || len(c.queue) >= queuedBytes {
			return false
		}
		if c.writing && len(c.queue) >= smallBytes {
			return false // the client is slow, and the queue cannot be written to make room
		}
		c.pending++
		c.partial = true
		c.last = max(c.last, c.began)
		return true
	})
}

// settle waits until every query is answered and every answer written.
func (c *conn) settle(limit time.Duration) {
	c.wait(limit, func() bool { return c.pending == 0 && len(c.queue) == 0 && !c.writing })
}

// hangUp ends the connection from this side: the answers, then the end of the
// stream, then whatever the client still sends is read and forgotten for a
// moment, because closing with octets unread resets the connection and the
// answers that are on their way with it.
func (c *conn) hangUp() {
	c.settle(c.srv.cfg.Grace)
	if c.nc.CloseWrite() != nil || c.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	space := c.srv.memory.get()
	defer c.srv.memory.put(space)
	b := space[:cap(space)]
	for range lingerReads {
		if _, err := c.nc.Read(b); err != nil {
			return
		}
	}
}

// wait calls ready with mu held after each change until it returns true. It
// returns false when the connection broke, when limit passed without any
// change, or when the server's grace is over.
func (c *conn) wait(limit time.Duration, ready func() bool) bool {
	var timer *time.Timer
	for {
		c.mu.Lock()
		done, gone := !c.gone && ready(), c.gone
		if !c.ending.IsZero() {
			limit = min(limit, time.Until(c.ending))
		}
		if !done && !gone {
			c.write() // what is being waited for may be in the queue
			done, gone = !c.gone && ready(), c.gone
		}
		c.mu.Unlock()
		if done || gone || limit < 0 {
			return done
		}
		c.part.flush() // what is being waited for may depend on it
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

// changed wakes run if it waits.
func (c *conn) changed() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

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

// push queues an answer; mu is held.
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

// drop counts a query as answered that never will be.
func (c *conn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = max(c.pending-1, 0)
	c.srv.tcp.dropped.Add(1)
	c.changed()
}

// enqueue appends an answer to the queue. What is queued is written first where
// the queue would outgrow the largest buffer that is used again: growing further
// makes garbage with each answer, which costs more than writing it. Where the
// queue takes too much memory, the client has to take what there is at once; mu
// is held.
func (c *conn) enqueue(msg []byte) {
	if len(c.queue) > 0 && len(c.queue)+prefixBytes+len(msg) > largeBytes {
		if c.write(); c.gone {
			return
		}
	}
	if c.queue == nil {
		c.queue = c.srv.memory.get()
	}
	c.queue = appendFrame(c.srv.memory.room(c.queue, prefixBytes+len(msg)), msg)
	more := cap(c.queue) - c.counted
	if cap(c.queue) <= smallBytes || more == 0 {
		return
	}
	c.counted += more
	if c.srv.memory.take(more, c.counted+c.resting) {
		return
	}
	if c.write(); len(c.queue) > 0 || c.writing {
		c.srv.tcp.shed.Add(1)
		c.breakOff()
	}
}

// dropQueue gives the queue's memory back; mu is held.
func (c *conn) dropQueue() {
	c.srv.memory.give(c.counted)
	c.srv.memory.put(c.queue)
	c.queue, c.counted = nil, 0
}

// flush writes what push left.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write()
}

// write writes as much of the queue as the kernel takes at once and leaves the
// rest to writeRest; mu is held.
func (c *conn) write() {
	if len(c.queue) == 0 || c.writing || c.gone {
		return
	}
	// Nobody else writes, so this does not wait for the descriptor's lock.
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

// tryWrite writes what the kernel takes at once; mu is held. It must not close
// the connection, because closing waits for it.
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

// writeRest writes the queue until it is empty, giving the client a bounded
// time for each chunk. run waits for its end before it closes the connection.
func (c *conn) writeRest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && !c.gone {
		chunks := c.queue
		c.queue, c.counted, c.resting = nil, 0, c.counted
		c.mu.Unlock()
		err := c.writeChunks(chunks)
		c.mu.Lock()
		c.srv.memory.give(c.resting)
		c.srv.memory.put(chunks)
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

func (c *conn) writeChunks(b []byte) error {
	for len(b) > 0 {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.cfg.WriteTimeout)); err != nil {
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

// breakOff ends the connection because writing failed; mu is held.
func (c *conn) breakOff() {
	c.gone = true
	c.dropQueue()
	_ = c.nc.Close()
	c.changed()
}

// abort ends the connection from outside.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breakOff()
}

// drain makes run stop reading and end once everything is answered.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = time.Now().Add(c.srv.cfg.Grace)
	// The error of a closed connection ends the read as well.
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

// activity says how ready a connection is to be closed for another; the lowest
// goes first.
type activity int

const (
	idle    activity = iota // waits for a query
	stalled                 // its client has been slow to send or to receive for stallTime
	busy                    // has a query to read or to answer, or an answer to write
)

// stallTime is how long a client may take for a message before its connection
// counts as stalled.
const stallTime = time.Second

// activity returns what the connection is doing at now, and when it last saw a
// query or an answer; both times are Unix nanoseconds.
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
