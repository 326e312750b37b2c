package nodelocal

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"
)

// question asks for cachesize.bind, TXT in class CH, which dnscache answers without an
// upstream server: a check must say nothing about cluster DNS.
const question = "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09cachesize\x04bind\x00\x00\x10\x00\x03"

// ask asks for cachesize.bind at an address and reports whether a good answer came.
func ask(ctx context.Context, at netip.AddrPort, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", at.String())
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	id := uint16(time.Now().UnixNano())
	query := []byte(question)
	binary.BigEndian.PutUint16(query, id)
	if _, err := c.Write(query); err != nil {
		return err
	}
	reply := make([]byte, 512)
	for {
		n, err := c.Read(reply)
		if err != nil {
			return err
		}
		if n < 12 || binary.BigEndian.Uint16(reply) != id {
			continue
		}
		if reply[2]&0x80 == 0 || reply[3]&0xf != 0 || binary.BigEndian.Uint16(reply[6:]) == 0 {
			return errors.New("the answer is an error")
		}
		return nil
	}
}
