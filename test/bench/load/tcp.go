package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"
)

// tcp is one connection with pipelined questions (RFC 7766).
type tcp struct {
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	answer []byte
}

func dialTCP(ctx context.Context, server netip.AddrPort) (*tcp, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", server.String())
	if err != nil {
		return nil, err
	}
	return &tcp{conn: c, in: bufio.NewReader(c), answer: make([]byte, 1<<16)}, nil
}

func (t *tcp) send(queries [][]byte) error {
	t.out = t.out[:0]
	for _, q := range queries {
		t.out = binary.BigEndian.AppendUint16(t.out, uint16(len(q)))
		t.out = append(t.out, q...)
	}
	_, err := t.conn.Write(t.out)
	return err
}

func (t *tcp) receive(timeout time.Duration, f func(answer []byte)) error {
	if err := t.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	for {
		var prefix [2]byte
		if _, err := io.ReadFull(t.in, prefix[:]); err != nil {
			return err
		}
		answer := t.answer[:binary.BigEndian.Uint16(prefix[:])]
		if _, err := io.ReadFull(t.in, answer); err != nil {
			return err
		}
		f(answer)
		if t.in.Buffered() == 0 {
			return nil
		}
	}
}

func (t *tcp) close() { _ = t.conn.Close() }
