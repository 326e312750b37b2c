// Package dnsclient asks one DNS server, for the lookups that the programs make for
// themselves.
//
// Use [Exchange] for one message, or [Resolver] for addresses in the way of package net.
package dnsclient

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxStray is the largest number of messages in one exchange that do not answer the question.
const maxStray = 64

var (
	errMalformed = errors.New("malformed reply")
	errStray     = errors.New("only packets that do not answer the question")
)

// Exchange sends a question to server over network, which is "udp" or "tcp", and waits for the
// reply until ctx ends. Only Name, Type, Class and Flags of the question are used. The socket
// is connected, so that the kernel drops packets from other addresses. The caller owns the
// reply, which may be truncated.
func Exchange(ctx context.Context, network string, server netip.AddrPort, question *wire.Query) (*wire.Reply, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	id := uint16(rand.Uint32())
	subject := wire.Subject{Name: question.Name, Type: question.Type, Class: question.Class}
	message := wire.AppendQuery(make([]byte, 2, 512), id, question.Flags, subject, &wire.OPT{})
	binary.BigEndian.PutUint16(message, uint16(len(message)-2))
	receive := receiveTCP
	if network == "udp" {
		message, receive = message[2:], receiveUDP
	}
	if _, err := conn.Write(message); err != nil {
		return nil, err
	}
	buf := make([]byte, wire.MaxMessage)
	for range maxStray {
		msg, err := receive(conn, buf)
		if err != nil {
			return nil, err
		}
		if len(msg) < wire.HeaderLen || wire.ID(msg) != id || wire.Flags(msg)&wire.FlagQR == 0 {
			continue
		}
		reply := new(wire.Reply)
		if !wire.ParseReply(msg, reply) {
			return nil, errMalformed
		}
		if reply.Answers(question) {
			return reply, nil
		}
	}
	return nil, errStray
}

func receiveUDP(conn net.Conn, buf []byte) ([]byte, error) {
	n, err := conn.Read(buf)
	return buf[:n], err
}

func receiveTCP(conn net.Conn, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(conn, buf[:2]); err != nil {
		return nil, err
	}
	msg := buf[:binary.BigEndian.Uint16(buf)]
	_, err := io.ReadFull(conn, msg)
	return msg, err
}

// Resolver returns a resolver that asks only server, which is host:port.
func Resolver(server string) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		},
	}
}
