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
	buf  []byte // read and not handled yet, with room for more; nil when empty
	n    int    // what tryRead brought
	err  error
	read func(fd uintptr) bool // tryRead as a value that exists once
}

// keep makes rest, the end of c.in.buf, all that is kept of it, with room for
// more. The buffer grows only as octets arrive, not because a length prefix
// promises many. It returns false if there is no memory for more.
func (c *conn) keep(rest []byte) bool {
	switch buf := c.in.buf; {
	case len(rest) == 0:
		c.dropInput()
	case len(rest) == cap(buf):
		grown := append(make([]byte, 0, 2*cap(buf)), rest...)
		c.dropInput()
		c.in.buf = grown
		if !c.srv.memory.take(cap(grown), cap(grown)) {
			c.srv.tcp.shed.Add(1)
			return false
		}
	case len(rest) < smallBytes && cap(buf) > smallBytes:
		short := append(c.srv.memory.get(), rest...)
		c.dropInput()
		c.in.buf = short
	default:
		c.in.buf = append(buf[:0], rest...)
	}
	return true
}

// dropInput gives the buffer back.
func (c *conn) dropInput() {
	if n := cap(c.in.buf); n > smallBytes {
		c.srv.memory.give(n)
	}
	c.srv.memory.put(c.in.buf)
	c.in.buf = nil
}

// readMore waits for octets and appends them to the input. started is when the
// message that the input begins with began. It returns false when the
// connection is to end; everything that is owed to the client has then been
// done.
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
			// The client has asked all it wants and may still be listening.
			if len(c.in.buf) != 0 {
				c.srv.tcp.malformed.Add(1)
			}
			c.settle(c.srv.cfg.PendingTimeout)
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

// readDeadline says until when the next octets must come; ok is false when
// none are wanted.
func (c *conn) readDeadline(started time.Time) (deadline time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partial = !started.IsZero()
	if c.gone || !c.ending.IsZero() {
		return time.Time{}, false
	}
	if c.partial {
		return started.Add(c.srv.cfg.ReadTimeout), true
	}
	return c.idleDeadline(), true
}

// idleDeadline is when the connection has seen nothing for too long; mu is
// held.
func (c *conn) idleDeadline() time.Time {
	limit := c.srv.cfg.IdleTimeout
	if c.pending > 0 {
		limit = max(limit, c.srv.cfg.PendingTimeout)
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

// tryRead reads what is there. A connection without input gets a buffer for the
// time of the call, and keeps it only when octets came.
func (c *conn) tryRead(fd uintptr) bool {
	buf := c.in.buf
	if buf == nil {
		buf = c.srv.memory.get()
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
		c.srv.memory.put(buf)
	}
	return !errors.Is(err, unix.EAGAIN)
}

// expired decides what a passed read deadline means: nothing, when an answer
// has moved it since or the server is stopping; else the end.
func (c *conn) expired(started time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending.IsZero() {
		return false // readDeadline says what to do
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
