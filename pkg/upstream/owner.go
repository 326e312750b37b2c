package upstream

import (
	"errors"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Why an exchange brought no reply.
var (
	// ErrTimeout: no server answered in time.
	ErrTimeout = errors.New("no answer in time")
	// ErrUnreachable: no server could be reached at all.
	ErrUnreachable = errors.New("no server reachable")
	// ErrMalformed: what servers answered could not be read.
	ErrMalformed = errors.New("malformed answer")
	// ErrClosed: the set was closed.
	ErrClosed = errors.New("closed")
)

// Question is what is asked. Of Flags, RD, AD and CD are sent. Name is in wire
// form, spelled as it is to be sent.
type Question struct {
	Name        []byte
	Type, Class uint16
	Flags       uint16
	DO          bool
	// Options are EDNS options in wire form, for servers that know EDNS.
	Options string
}

// Owner waits for the end of an exchange.
type Owner interface {
	// Done is called exactly once, on any goroutine, maybe before Send returns.
	// r and all it points to is valid during the call. The set does not touch
	// the owner afterwards, so that Done may use it for another Send.
	Done(sink Sink, r *Result)
	// Slow is called at most once, before Done, when the time given to Send has
	// passed. It must not call the set.
	Slow(sink Sink)
}

// Result is the end of an exchange.
type Result struct {
	// Reply answers the question: a good reply, else the best error that a
	// server sent, maybe truncated if TCP failed. nil: Err tells why.
	Reply *wire.Reply
	Err   error
	// Server sent Reply.
	Server netip.AddrPort
	// Took is the time since Send.
	Took time.Duration
}

// Sink is where one goroutine of the set collects what follows from ends of
// exchanges, such as answers to clients. The set makes one for each goroutine
// that calls owners and calls Flush before that goroutine waits.
type Sink interface {
	Flush()
}
