package nslookup

import (
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

// maxReply is more than a server may send to a question without EDNS (512
// octets, RFC 1035 §4.2.1), for those that do not keep to it.
const maxReply = 4096

var (
	errTimeout = errors.New("connection timed out, no answer")
	errRefused = errors.New("connection refused")
)

// exchange asks one question and returns the first reply that settles it, with
// the server that gave it. A server that fails (SERVFAIL, REFUSED, NOTIMP) or
// has nobody listening is left for the next; its reply is returned only when no
// server did better.
func (c Command) exchange(ctx context.Context, servers []netip.AddrPort, name string, qtype uint16) (*dns.Msg, netip.AddrPort, error) {
	query := new(dns.Msg)
	query.SetQuestion(name, qtype)
	packet, err := query.Pack()
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("building the question: %w", err)
	}
	var (
		conns   = make([]net.Conn, len(servers))
		failed  *dns.Msg // the first reply that settles nothing
		failer  netip.AddrPort
		lastErr = errTimeout
		gone    = make([]bool, len(servers)) // not worth another try
		left    = len(servers)
	)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}()
	for try := 0; try < c.tries()*len(servers) && left > 0; try++ {
		i := try % len(servers)
		if gone[i] {
			continue
		}
		reply, err := c.tryUDP(ctx, &conns[i], servers[i], query, packet)
		switch {
		case ctx.Err() != nil:
			return nil, servers[i], errTimeout
		case errors.Is(err, os.ErrDeadlineExceeded):
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

// settles reports whether another server need not be asked.
func settles(reply *dns.Msg) bool {
	return reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError
}

// tryUDP sends the question once and waits for its reply. The socket is kept in
// conn for later tries, so that a late reply to this one still counts then. It
// is connected: the kernel drops what comes from elsewhere and reports a port
// with nobody behind it.
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
			continue // a stray or forged packet does not end the wait
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
		return nil, fmt.Errorf("truncated, then over TCP: %w", plain(err))
	}
	defer conn.Close()
	release := bound(ctx, conn, 2*c.tryTimeout())
	defer release()
	stream := dns.Conn{Conn: conn}
	if err := stream.WriteMsg(query); err != nil {
		return nil, fmt.Errorf("truncated, then over TCP: %w", plain(err))
	}
	reply, err := stream.ReadMsg()
	if err != nil {
		// Not a silent server: it answered over UDP. So no further tries.
		return nil, fmt.Errorf("truncated, then over TCP: %s", plain(err).Error())
	}
	if !answers(reply, query) {
		return nil, errors.New("truncated, then over TCP: reply to another question")
	}
	return reply, nil
}

// bound gives conn d from now, less when ctx ends earlier. The returned func
// must be called when the wait is over.
func bound(ctx context.Context, conn net.Conn, d time.Duration) func() bool {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	_ = conn.SetDeadline(time.Now().Add(d)) // a closed socket says so at the next use
	if ctx.Err() != nil {
		_ = conn.SetDeadline(time.Unix(1, 0)) // AfterFunc may have been overwritten
	}
	return stop
}

// answers reports whether reply is one to query: id, direction and question.
// Servers that could not read a question send it back empty (RFC 1035 §4.1.1
// leaves it open), which is accepted together with an error only.
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

// plain shortens what the network says to what a reader of a health check
// needs. Deadlines stay recognisable.
func plain(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errRefused
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}
