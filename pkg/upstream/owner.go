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
	// ErrIgnored: the owner judged all answers as ones to ignore.
	ErrIgnored = errors.New("answer was ignored as configured")
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
	// Client is who asks, if it is a client: it shares TCP with the others.
	Client netip.Addr
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

// Judge is an [Owner] that has a say in which good replies are accepted
// (--ignore-address).
type Judge interface {
	Owner
	// Judge is called before Done, on the goroutine that received a reply, for
	// each one that would end the exchange. If it returns Ignore, the exchange
	// waits for another reply of the same server and asks others; if nothing
	// better comes, it ends with ErrIgnored. Judge must not call the set, change
	// the reply, or keep it.
	Judge(sink Sink, r *wire.Reply) Verdict
}

// Verdict is what a [Judge] says.
type Verdict uint8

const (
	// Accept ends the exchange with the reply.
	Accept Verdict = iota
	// Ignore goes on as if the reply had not come.
	Ignore
)

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
