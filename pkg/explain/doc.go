// Package explain is what "kubedns explain" and "dnscache explain" have in common: asking the
// server itself ([Ask]), reading its answer ([Read]), the page that a running program serves
// ([Page]) and its client ([Fetch]), what is told of upstream servers ([Servers]), and output
// that cannot control a terminal ([Line]).
package explain

import (
	"context"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Server answers queries, as a listener gives them to it.
type Server interface {
	// Handle is that of [listener.Handler].
	Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte
	// Flush sends the questions that Handle left waiting.
	Flush()
}

// patience is how long an answer may take: longer than a forwarder waits for servers.
const patience = 5 * time.Second

// mailbox receives one answer.
type mailbox chan []byte

// Send implements [listener.Sink].
func (m mailbox) Send(_ listener.ReplyTo, msg []byte) {
	select {
	case m <- append([]byte(nil), msg...):
	default:
	}
}

// Ask puts a question to the server, as a client at 127.0.0.1 over TCP does, and waits for the
// answer until ctx ends, but 5 seconds at most.
func Ask(ctx context.Context, server Server, name dnsname.Name, typ uint16) *Answer {
	packet := wire.AppendQuery(nil, 1, wire.FlagRD, wire.Subject{Name: []byte(name), Type: typ, Class: wire.ClassIN}, &wire.OPT{})
	inbox := make(mailbox, 1)
	loopback := netip.MustParseAddr("127.0.0.1")
	to := listener.NewReplyTo(inbox, netip.AddrPortFrom(loopback, 1), loopback, true)
	msg := server.Handle(packet, to, make([]byte, 0, wire.MaxMessage))
	server.Flush()
	if len(msg) == 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case msg = <-inbox:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return Read(msg)
}
