// Package explain has the parts that "kubedns explain" and "dnscache explain" share.
//
// Use [Ask] to get an answer from the server itself, or [Read] to describe one; [Page] to serve
// explanations over HTTP, and [Fetch] to get one from a running program; [Servers] to describe
// upstream servers; and [Line] for output that cannot control a terminal.
package explain

import (
	"context"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Server is a DNS server that can be asked without sockets.
type Server interface {
	// Handle has the contract of [listener.Handler].
	Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte
	// Flush sends the questions to upstream servers that Handle left waiting.
	Flush()
}

// patience is the longest time that an answer may take. A forwarder gives up on its servers
// earlier.
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

// Ask asks the server a question, as a client at 127.0.0.1 would over TCP. It waits for the
// answer until ctx ends, but at most 5 seconds. If there is none, the status is NOREPLY.
func Ask(ctx context.Context, server Server, name dnsname.Name, typ uint16) *Answer {
	packet := wire.AppendQuery(nil, 1, wire.FlagRD, wire.Subject{Name: []byte(name), Type: typ, Class: wire.ClassIN}, &wire.OPT{})
	inbox := make(mailbox, 1)
	loopback := netip.MustParseAddr("127.0.0.1")
	to := listener.NewReplyTo(inbox, netip.AddrPortFrom(loopback, 1), loopback, true)
	msg := server.Handle(packet, to, make([]byte, 0, wire.MaxMessage))
	server.Flush()
	if len(msg) == 0 {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		select {
		case msg = <-inbox:
		case <-ctx.Done():
		}
	}
	return Read(msg)
}
