package nodelocal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// message builds one netlink message. Lengths are set by finish.
type message []byte

// newMessage begins a message of a type. body is its fixed part.
func newMessage(typ, flags uint16, seq uint32, body []byte) message {
	m := make(message, unix.NLMSG_HDRLEN, 512)
	binary.NativeEndian.PutUint16(m[4:], typ)
	binary.NativeEndian.PutUint16(m[6:], flags|unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(m[8:], seq)
	return append(m, body...)
}

// attr adds an attribute.
func (m *message) attr(typ uint16, value []byte) {
	*m = binary.NativeEndian.AppendUint16(*m, uint16(unix.SizeofRtAttr+len(value)))
	*m = binary.NativeEndian.AppendUint16(*m, typ)
	*m = append(*m, value...)
	m.pad()
}

// text adds an attribute that holds a zero-terminated string.
func (m *message) text(typ uint16, s string) { m.attr(typ, append([]byte(s), 0)) }

// be32 adds an attribute that holds a number in network byte order, which nf_tables uses.
func (m *message) be32(typ uint16, n uint32) { m.attr(typ, binary.BigEndian.AppendUint32(nil, n)) }

// nest adds an attribute that contains the attributes that fill adds.
func (m *message) nest(typ uint16, fill func()) {
	at := len(*m)
	m.attr(typ|unix.NLA_F_NESTED, nil)
	fill()
	binary.NativeEndian.PutUint16((*m)[at:], uint16(len(*m)-at))
}

func (m *message) pad() {
	for len(*m)%4 != 0 {
		*m = append(*m, 0)
	}
}

// finish sets the length and returns the message.
func (m *message) finish() []byte {
	binary.NativeEndian.PutUint32(*m, uint32(len(*m)))
	return *m
}

// conn is a netlink socket for requests. Only one goroutine may use it at a time.
type conn struct {
	fd  int
	seq uint32
}

// dial opens a socket of a netlink protocol. Child processes do not inherit it.
func dial(protocol int) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket: %w", err)
	}
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("preparing a netlink socket: %w", err)
	}
	return &conn{fd: fd}, nil
}

func (c *conn) close() { _ = unix.Close(c.fd) }

// next returns the sequence number for the next message.
func (c *conn) next() uint32 {
	c.seq++
	return c.seq
}

// exchange sends messages, and calls each with the kernel's messages until it returns true. buf
// receives them. exchange returns the first error that the kernel reports.
func (c *conn) exchange(b, buf []byte, each func(m *syscall.NetlinkMessage) (done bool)) error {
	if err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for i := range messages {
			m := &messages[i]
			if m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4 {
				if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
					return unix.Errno(-code)
				}
			}
			if each(m) {
				return nil
			}
		}
	}
}

// send sends messages and waits until the kernel has acknowledged those whose sequence
// numbers are in acks.
func (c *conn) send(b []byte, acks map[uint32]bool) error {
	return c.exchange(b, make([]byte, 1<<16), func(m *syscall.NetlinkMessage) bool {
		if m.Header.Type == unix.NLMSG_ERROR {
			delete(acks, m.Header.Seq)
		}
		return len(acks) == 0
	})
}

// change sends one message, to which fill adds the attributes, and waits until the kernel has
// carried it out.
func (c *conn) change(typ, flags uint16, body []byte, fill func(m *message)) error {
	seq := c.next()
	m := newMessage(typ, flags|unix.NLM_F_ACK, seq, body)
	fill(&m)
	return c.send(m.finish(), map[uint32]bool{seq: true})
}
