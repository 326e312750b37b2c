package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"time"
)

var (
	errStray = errors.New("too many messages that answer nothing")
	errSlow  = errors.New("the message does not end")
)

// read handles messages until the connection ends. It returns nil if we ended it.
func (s *stream) read(nc net.Conn) error {
	buf := make([]byte, 0, streamBytes)
	stray := 0
	var began int64 // when the first octet of the message in buf came
	for {
		rest := s.takeAll(buf, &stray)
		if stray > maxStrayReplies {
			return errStray
		}
		if len(rest) < len(buf) || began == 0 {
			began = s.pool.tcp.env.Now()
		}
		if buf = s.makeRoom(buf, rest); len(buf) == 0 {
			began = 0
		}
		n, err := s.readMore(nc, buf[len(buf):cap(buf)], began)
		if n == 0 {
			return err
		}
		buf = buf[:len(buf)+n]
	}
}

// takeAll handles the complete messages in b and returns the rest.
func (s *stream) takeAll(b []byte, stray *int) (rest []byte) {
	var ev Events
	for len(b) >= 2 && len(b)-2 >= int(binary.BigEndian.Uint16(b)) {
		msg := b[2 : 2+int(binary.BigEndian.Uint16(b))]
		b = b[2+len(msg):]
		if ev == nil {
			ev = s.pool.tcp.env.Acquire()
		}
		if s.takeMessage(msg, ev) {
			*stray = 0
		} else {
			*stray++
		}
	}
	if ev != nil {
		ev.Flush()
		s.pool.tcp.env.Recycle(ev)
	}
	return b
}

// takeMessage handles one message and reports whether it answered a question. If parsing it
// panics, the question continues as if the message had not come.
func (s *stream) takeMessage(msg []byte, ev Events) (wanted bool) {
	tcp := s.pool.tcp
	defer func() {
		if cause := recover(); cause != nil {
			tcp.env.Crashed(s.pool.ep.Addr, msg, cause)
		}
	}()
	now := tcp.env.Now()
	c := s.match(msg, now)
	if c == nil {
		tcp.wrong.Add(1)
		return false
	}
	ev.Replied(c, msg, false, now)
	return true
}

// makeRoom moves rest to the start of a buffer with room for more octets. Large buffers are
// kept only while more answers are expected.
func (s *stream) makeRoom(buf, rest []byte) []byte {
	switch {
	case len(rest) == cap(buf):
		return append(make([]byte, 0, 2*cap(buf)), rest...)
	case len(rest) < streamBytes && cap(buf) > streamBytes:
		if n, _ := s.load(); n == 0 {
			return append(make([]byte, 0, streamBytes), rest...)
		}
	}
	return append(buf[:0], rest...)
}

// readMore waits for octets. n is 0 if the connection has ended; err is then nil if we ended
// it.
func (s *stream) readMore(nc net.Conn, p []byte, began int64) (n int, err error) {
	for {
		if over, err := s.setDeadline(nc, began); over {
			return 0, err
		}
		n, err = nc.Read(p)
		if n > 0 {
			s.mu.Lock()
			s.used = s.pool.tcp.env.Now()
			s.waiting = 0
			if len(s.table) > 0 {
				s.waiting = s.used
			}
			s.mu.Unlock()
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
	}
}

// setDeadline sets the time by which octets must arrive. over reports that this time has
// passed, or that nothing more is expected.
func (s *stream) setDeadline(nc net.Conn, began int64) (over bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tcp := s.pool.tcp
	now, patience := tcp.env.Now(), tcp.patience.Load()
	until := s.used + max(s.idle, patience)
	if s.pool.secure != nil {
		switch {
		case len(s.table) == 0:
			until = s.used + s.idle
		case s.waiting != 0:
			until = min(until, s.waiting+patience)
			s.stalled = s.stalled || now >= until
		}
	}
	if s.shut && len(s.table) == 0 || now >= until {
		s.shut = true
		return true, nil
	}
	if began != 0 {
		if now >= began+patience {
			return true, errSlow
		}
		until = min(until, began+patience)
	}
	end := time.Now().Add(time.Duration(until - now))
	if s.pool.secure == nil {
		return false, nc.SetReadDeadline(end)
	}
	// Over TLS, reading may also write: key updates (RFC 8446 §4.6.3) and alerts. The write
	// deadline of the last question must not apply to these.
	return false, nc.SetDeadline(end)
}
