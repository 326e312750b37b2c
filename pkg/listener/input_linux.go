package listener

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// input is the reading side of a connection. Only the goroutine of run uses it.
type input struct {
	buf  []byte                // octets read and not handled yet; nil if there are none
	n    int                   // number of octets that the last tryRead read
	err  error                 // error of the last tryRead
	read func(fd uintptr) bool // the method value tryRead, allocated once
}

// keep removes everything but rest, the end of c.in.buf, from the input, and makes
// room for more. The buffer grows only as octets arrive, not because a length prefix
// announces many. keep returns false if Config.maxBufferBytes does not allow more.
func (c *conn) keep(rest []byte) bool {
	switch buf := c.in.buf; {
	case len(rest) == 0:
		c.dropInput()
	case len(rest) == cap(buf):
		grown := append(make([]byte, 0, 2*cap(buf)), rest...)
		c.dropInput()
		c.in.buf = grown
		if !c.srv.memory.charge(cap(grown), cap(grown)) {
			c.srv.tcp.shed.Add(1)
			return false
		}
	case len(rest) < smallBytes && cap(buf) > smallBytes:
		short := append(c.srv.memory.smallBuffer(), rest...)
		c.dropInput()
		c.in.buf = short
	default:
		c.in.buf = append(buf[:0], rest...)
	}
	return true
}

// dropInput empties the input and returns its memory.
func (c *conn) dropInput() {
	if n := cap(c.in.buf); n > smallBytes {
		c.srv.memory.uncharge(n)
	}
	c.srv.memory.returnBuffer(c.in.buf)
	c.in.buf = nil
}

// readMore waits for octets and appends them to the input. started is when the first
// octet of the current message arrived, or zero if the input is empty. It returns
// false if the connection must end; the client has then got every answer that it
// can get.
func (c *conn) readMore(started time.Time) bool {
	for {
		deadline, ok := c.readDeadline(started)
		if !ok {
			c.hangUp()
			return false
		}
		err := c.readUntil(deadline)
		switch {
		case err == nil:
			return true
		case errors.Is(err, io.EOF):
			// The client will send no more queries but may still read answers.
			if len(c.in.buf) != 0 {
				c.srv.tcp.malformed.Add(1)
			}
			c.awaitAnswers(c.srv.cfg.pendingTimeout)
			return false
		case errors.Is(err, os.ErrDeadlineExceeded):
			if c.expired(started) {
				return false
			}
		default:
			return false
		}
	}
}

// readDeadline returns the time by which the next octets must arrive. ok is false if
// nothing more is to be read.
func (c *conn) readDeadline(started time.Time) (deadline time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partial = !started.IsZero()
	if c.gone || !c.ending.IsZero() {
		return time.Time{}, false
	}
	if c.partial {
		return started.Add(c.srv.cfg.readTimeout), true
	}
	return c.idleDeadline(), true
}

// idleDeadline returns the time at which the connection has been idle for too long.
// mu must be held.
func (c *conn) idleDeadline() time.Time {
	limit := c.srv.cfg.idleTimeout
	if c.pending > 0 {
		limit = max(limit, c.srv.cfg.pendingTimeout)
	}
	return time.Unix(0, c.last).Add(limit)
}

// readUntil reads at least one octet, or returns an error.
func (c *conn) readUntil(deadline time.Time) error {
	if err := c.nc.SetReadDeadline(deadline); err != nil {
		return err
	}
	// drain may have set its own deadline just before.
	c.mu.Lock()
	stop := !c.ending.IsZero()
	c.mu.Unlock()
	if stop {
		return os.ErrDeadlineExceeded
	}
	if err := c.raw.Read(c.in.read); err != nil {
		return err
	}
	if c.in.n == 0 && c.in.err == nil {
		return io.EOF
	}
	return c.in.err
}

// tryRead reads the octets that have arrived. A connection without input gets a
// buffer for the call, and keeps it only if there were octets.
func (c *conn) tryRead(fd uintptr) bool {
	buf := c.in.buf
	if buf == nil {
		buf = c.srv.memory.smallBuffer()
	}
	n, err := unix.Read(int(fd), buf[len(buf):cap(buf)])
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(int(fd), buf[len(buf):cap(buf)])
	}
	c.in.n, c.in.err = max(n, 0), err
	switch {
	case n > 0:
		c.in.buf = buf[:len(buf)+n]
	case c.in.buf == nil:
		c.srv.memory.returnBuffer(buf)
	}
	return !errors.Is(err, unix.EAGAIN)
}

// expired is called when the read deadline has passed. It returns true if the
// connection must end, and false if an answer has moved the deadline in the meantime
// or the server is stopping.
func (c *conn) expired(started time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending.IsZero() {
		return false // readDeadline decides
	}
	if !started.IsZero() {
		c.srv.tcp.malformed.Add(1)
		return true
	}
	if time.Now().Before(c.idleDeadline()) {
		return false
	}
	c.srv.tcp.idleClosed.Add(1)
	return true
}
