package replicas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	// lookupTries is how often a server is asked over UDP. Each attempt takes at most
	// lookupPatience.
	lookupTries    = 2
	lookupPatience = time.Second
	// maxStray is the largest number of packets in one attempt that do not answer the question.
	maxStray = 64
)

var (
	errMalformed = errors.New("malformed reply")
	errStray     = errors.New("only packets that do not answer the question")
)

// answer holds the addresses of a name, which may be none, and the shortest TTL among them.
type answer struct {
	addrs []netip.Addr
	ttl   time.Duration
}

// lookUp asks one server for the addresses of a name of one type, A or AAAA. If the name does
// not exist or has no addresses, the answer is empty. An error means that the server gave no
// usable answer.
func lookUp(ctx context.Context, server netip.AddrPort, overTCP bool, name dnsname.Name, qtype uint16) (a answer, err error) {
	for range lookupTries {
		var reply wire.Reply
		network := "udp"
		if overTCP {
			network = "tcp"
		}
		reply, err = exchange(ctx, network, server, name, qtype)
		if err == nil && reply.Truncated() && !overTCP {
			reply, err = exchange(ctx, "tcp", server, name, qtype)
		}
		switch {
		case ctx.Err() != nil:
			return answer{}, ctx.Err()
		case err != nil:
			continue
		case reply.Rcode == wire.RcodeSuccess, reply.Rcode == wire.RcodeNXDomain:
			return addresses(&reply, name, qtype), nil
		}
		return answer{}, fmt.Errorf("rcode %d", reply.Rcode)
	}
	return answer{}, err
}

// exchange sends the question and waits for its reply. The socket is connected, so that the
// kernel drops packets from other addresses.
func exchange(ctx context.Context, network string, server netip.AddrPort, name dnsname.Name, qtype uint16) (reply wire.Reply, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, network, server.String())
	if err != nil {
		return reply, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	id := uint16(rand.Uint32())
	asked := wire.Query{Name: []byte(name), Type: qtype, Class: wire.ClassIN}
	message := make([]byte, 2, 512)
	message = wire.AppendQuery(message, id, wire.FlagRD, wire.Subject{Name: asked.Name, Type: qtype, Class: asked.Class}, &wire.OPT{})
	binary.BigEndian.PutUint16(message, uint16(len(message)-2))
	receive := func() ([]byte, error) { return receiveUDP(c) }
	if network == "tcp" {
		receive = func() ([]byte, error) { return receiveTCP(c) }
	} else {
		message = message[2:]
	}
	if _, err := c.Write(message); err != nil {
		return reply, err
	}
	for range maxStray {
		packet, err := receive()
		if err != nil {
			return reply, err
		}
		if len(packet) < wire.HeaderLen || wire.ID(packet) != id || wire.Flags(packet)&wire.FlagQR == 0 {
			continue
		}
		if !wire.ParseReply(packet, &reply) {
			return reply, errMalformed
		}
		if reply.Answers(&asked) {
			return reply, nil
		}
	}
	return reply, errStray
}

func receiveUDP(c net.Conn) ([]byte, error) {
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	return buf[:n], err
}

func receiveTCP(c net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(c, buf)
	return buf, err
}

// addresses returns the addresses of a type that belong to the name itself. Aliases are not
// followed, because a headless Service has none.
func addresses(r *wire.Reply, name dnsname.Name, qtype uint16) answer {
	var rec wire.Record
	var buf [wire.MaxName]byte
	a, ttl := answer{}, uint32(math.MaxUint32)
	for it := r.Records(); it.Next(&rec); {
		if rec.Section != wire.Answer || rec.Type != qtype || rec.Class != wire.ClassIN {
			continue
		}
		owner, _, ok := wire.AppendName(buf[:0], r.Msg, rec.Owner)
		addr, isAddr := netip.AddrFromSlice(r.Msg[rec.Data:rec.End])
		if !ok || !isAddr || !wire.EqualNames(owner, []byte(name)) {
			continue
		}
		a.addrs = append(a.addrs, addr)
		ttl = min(ttl, rec.TTL)
	}
	a.ttl = time.Duration(ttl) * time.Second
	return a
}
