package upstream

import (
	"errors"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The errors of exchanges that brought no reply, in Result.Err.
var (
	// ErrTimeout: no server answered in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrUnreachable: no server could be reached at all.
	ErrUnreachable = errors.New("no server reachable")
	// ErrMalformed: the servers' replies could not be parsed.
	ErrMalformed = errors.New("malformed answer")
	// ErrIgnored: the owner ignored all replies.
	ErrIgnored = errors.New("answer was ignored as configured")
	// ErrClosed: the set was closed.
	ErrClosed = errors.New("closed")
)

// Question is a question to send. Name is in wire form, in the spelling to send. Of Flags,
// only RD, AD and CD are sent.
type Question struct {
	Name        []byte
	Type, Class uint16
	Flags       uint16
	DO          bool
	// Options are EDNS options in wire form. They are sent only to servers that support EDNS.
	Options string
	// Client is the address of the client that asks, not valid if there is none. Clients
	// share the exchanges over TCP; see Config.TCPExchanges.
	Client netip.Addr
}

// Owner waits for the end of an exchange.
type Owner interface {
	// Done is called exactly once, on any goroutine, possibly before Send returns. r and
	// everything that it points to are valid only during the call. The set does not use the
	// owner afterwards, so Done may reuse it for another Send.
	Done(sink Sink, r *Result)
	// Slow is called at most once, before Done, when Send's slowAfter has passed. It must not
	// call the set.
	Slow(sink Sink)
	// Sent is called for every packet that is sent for the owner, on the packet path and with
	// locks held: it must not block or call the set.
	Sent(server netip.AddrPort)
	// Ignores is called before Done for each good reply that would end the exchange, on the
	// goroutine that received the reply. If it returns true (--ignore-address), the exchange
	// waits for another reply from the same server and asks other servers; if nothing better
	// comes, it ends with ErrIgnored. Ignores must not call the set, or change or keep the reply.
	Ignores(r *wire.Reply) bool
}

// Result is the outcome of an exchange.
type Result struct {
	// Reply answers the question. It is a good reply, or else the best error that a server
	// sent; it may be truncated if TCP failed. If it is nil, Err says why.
	Reply *wire.Reply
	Err   error
	// Server is the server that sent Reply.
	Server netip.AddrPort
}

// Sink collects what follows from the ends of exchanges, such as answers to clients. The set
// makes one for each goroutine that calls owners, and calls its Flush before that goroutine
// waits.
type Sink interface {
	Flush()
}
