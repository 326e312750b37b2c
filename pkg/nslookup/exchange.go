package nslookup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// maxReply is the size of the receive buffer. It is more than the 512 octets that a
// server may send without EDNS (RFC 1035 §4.2.1), since some servers send more.
const maxReply = 4096

var (
	errTimeout = errors.New("connection timed out, no answer")
	errRefused = errors.New("connection refused")
)

// exchange asks one question and returns the first conclusive reply, with the server
// that sent it. If a server fails (SERVFAIL, REFUSED, NOTIMP) or its port is closed, the
// next one is asked; the failing reply is returned only if no server did better.
func (c Command) exchange(ctx context.Context, servers []netip.AddrPort, name string, qtype uint16) (*dns.Msg, netip.AddrPort, error) {
	query := new(dns.Msg)
	query.SetQuestion(name, qtype)
	packet, err := query.Pack()
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("building the question: %w", err)
	}
	var (
		conns   = make([]net.Conn, len(servers))
		failed  *dns.Msg // the first reply that is not conclusive
		failer  netip.AddrPort
		lastErr = errTimeout
		gone    = make([]bool, len(servers)) // not to be asked again
		left    = len(servers)
	)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}()
	for try := 0; try < cmp.Or(c.Tries, defaultTries)*len(servers) && left > 0; try++ {
		i := try % len(servers)
		if gone[i] {
			continue
		}
		reply, err := c.tryUDP(ctx, &conns[i], servers[i], query, packet)
		switch {
		case ctx.Err() != nil:
			return nil, servers[i], errTimeout
		case errors.Is(err, errTimeout):
			continue
		case err != nil:
			lastErr = err
		case settles(reply):
			return reply, servers[i], nil
		case failed == nil:
			failed, failer = reply, servers[i]
		}
		gone[i] = true
		left--
	}
	if failed != nil {
		return failed, failer, nil
	}
	if left > 0 {
		lastErr = errTimeout
	}
	return nil, servers[0], lastErr
}

// settles reports whether a reply is conclusive, so that no other server is asked.
func settles(reply *dns.Msg) bool {
	return reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError
}

// tryUDP sends the question once and waits for the reply. The socket is kept in conn
// for later tries, so that a late reply to this try is still accepted then. It is a
// connected socket: the kernel drops packets from other addresses and reports a closed
// port.
func (c Command) tryUDP(ctx context.Context, conn *net.Conn, server netip.AddrPort, query *dns.Msg, packet []byte) (*dns.Msg, error) {
	if *conn == nil {
		var d net.Dialer
		dialled, err := d.DialContext(ctx, "udp", server.String())
		if err != nil {
			return nil, plain(err)
		}
		*conn = dialled
	}
	release := bound(ctx, *conn, c.tryTimeout())
	defer release()
	if _, err := (*conn).Write(packet); err != nil {
		return nil, plain(err)
	}
	buf := make([]byte, maxReply)
	for {
		n, err := (*conn).Read(buf)
		if err != nil {
			return nil, plain(err)
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(buf[:n]); err != nil || !answers(reply, query) {
			continue // ignore stray and forged packets
		}
		if reply.Truncated {
			return c.askTCP(ctx, server, query)
		}
		return reply, nil
	}
}

// askTCP repeats the question of query over TCP.
func (c Command) askTCP(ctx context.Context, server netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	d := net.Dialer{Timeout: c.tryTimeout()}
	conn, err := d.DialContext(ctx, "tcp", server.String())
	if err != nil {
		return nil, fmt.Errorf("reply truncated; over TCP: %w", plain(err))
	}
	defer conn.Close()
	release := bound(ctx, conn, 2*c.tryTimeout())
	defer release()
	stream := dns.Conn{Conn: conn}
	if err := stream.WriteMsg(query); err != nil {
		return nil, fmt.Errorf("reply truncated; over TCP: %w", plain(err))
	}
	reply, err := stream.ReadMsg()
	if err != nil {
		// The server is not silent, since it answered over UDP: no further tries.
		return nil, fmt.Errorf("reply truncated; over TCP: %s", plain(err).Error())
	}
	if !answers(reply, query) {
		return nil, errors.New("reply truncated; over TCP: reply to another question")
	}
	return reply, nil
}

// bound sets conn's deadline to d from now, or to the end of ctx if that is earlier.
// The returned func must be called when the wait is over.
func bound(ctx context.Context, conn net.Conn, d time.Duration) func() bool {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	_ = conn.SetDeadline(time.Now().Add(d)) // a closed socket says so at the next use
	if ctx.Err() != nil {
		_ = conn.SetDeadline(time.Unix(1, 0)) // AfterFunc may have been overwritten
	}
	return stop
}

// answers reports whether reply is a reply to query, by its id, QR bit and question. A
// server that cannot read the question may reply without one (RFC 1035 §4.1.1 does not
// forbid it); that is accepted only together with an error code.
func answers(reply, query *dns.Msg) bool {
	if reply.Id != query.Id || !reply.Response || reply.Opcode != dns.OpcodeQuery {
		return false
	}
	if len(reply.Question) == 0 {
		return !settles(reply)
	}
	got, want := reply.Question[0], query.Question[0]
	return len(reply.Question) == 1 && got.Qtype == want.Qtype && got.Qclass == want.Qclass &&
		strings.EqualFold(got.Name, want.Name)
}

// plain shortens a network error to what the reader of a health check needs.
func plain(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errRefused
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTimeout
	}
	return err
}
