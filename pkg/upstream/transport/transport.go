// Package transport carries questions to upstream servers and brings their
// replies. Use [NewUDP] or [NewTCP], get a [Link] to each server, and send a
// [Call] on it; what comes of the call is told to the [Events] of the goroutine
// that learns it:
//
//	link := udp.Link(endpoint)
//	err := link.Send(call, now)   // queued
//	udp.Flush(events)             // sent
//	// later, on a goroutine of the transport:
//	events.Replied(call, msg, cut, now)
//
// A transport knows nothing of policy: it does not repeat questions, choose
// servers or judge answers. A reply belongs to a call only if it came on the
// call's own socket or connection and its id and question match (RFC 5452
// §9.1), with Call.Mixed also the case of the question's letters.
//
// # UDP
//
// Each server has a pool of connected sockets, so that the kernel drops what
// comes from elsewhere and reports refused ports. A call draws a random socket
// and a random id. Packets are sent and received in batches; a few goroutines
// wait for all sockets by epoll.
//
// # TCP
//
// Connections are few, shared and pipelined (RFC 7766); each has two goroutines
// and ends when it is idle.
//
// # TLS
//
// [NewTLS] makes the same over TLS (RFC 7858), strictly: a server is encrypted and
// authenticated or not asked (RFC 8310 §5). Questions are padded (RFC 8467), and
// connections stay open as long as the server says (RFC 7828). News of connections
// go to TLSEnv.Handshake.
//
// # Ownership and locks
//
// From a successful Send until Cancel returns true, or until an event's method
// returns without a Rearm, the transport uses the call and its question, which
// must not change.
//
// Locks, in the order in which they may be taken: pool, socket or connection,
// queue. No lock is held while Events are told.
package transport

import (
	"context"
	"errors"
	"net/netip"
)

// Endpoint is one server and the way to it.
type Endpoint struct {
	// Addr is the server's address, maybe with a zone, and port.
	Addr netip.AddrPort
	// Source is the local address to send from, not valid for any; its port is
	// 0 for a random one.
	Source netip.AddrPort
	// Interface is the network interface to leave by, "" for any.
	Interface string
	// Profile is how the server is authenticated; only for TLS.
	Profile Profile
	// Mark is the caller's; the transport only keeps it.
	Mark uint8
}

// Question is what is asked.
type Question struct {
	// Name is in wire form, spelled as the client did.
	Name []byte
	// Options are EDNS options in wire form.
	Options            []byte
	Type, Class, Flags uint16    // of the question
	Payload            uint16    // UDP payload size to advertise
	DO                 bool      // whether to set the DO bit
	_                  [0]func() // not comparable
}

// Call is a question on its way to one server.
type Call struct {
	// Question, Owner and Index are the caller's; the transport only reads the
	// question.
	Question *Question
	Owner    any // see Question
	Index    int // see Question
	// EDNS sends an OPT record. Mixed sends the name in random case, where the
	// transport can profit from that. Alone uses a connection that carries
	// nothing else. Whole is the caller's.
	EDNS, Mixed, Alone, Whole bool
	// Cold is set by Send: the question waits for a connection to be made.
	Cold bool

	id     uint16  // the message id
	mix    uint64  // the case of the name
	sock   *socket // over UDP
	stream *stream // over TCP
	sent   int64   // when it was sent, in nanoseconds of Env's clock
}

// Transport is a way to exchange messages with servers.
type Transport interface {
	// Link returns the way to one server.
	Link(Endpoint) Link
	// Run works until ctx is cancelled and all goroutines have ended. Calls that
	// are open then bring no event.
	Run(ctx context.Context)
	// Flush sends what has been queued, and tells errors to ev.
	Flush(ev Events)
	// Close frees what New took. Links must be closed before.
	Close()
}

// Link is the way to one server. Its methods do not wait.
type Link interface {
	// Send queues c's question. After an error nothing more comes of c.
	Send(c *Call, now int64) error
	// Cancel takes c back. It returns false if an event for c is under way or
	// was told.
	Cancel(c *Call) bool
	// Rearm makes c wait for one more reply. It may be called only within an event
	// for c, and reports whether c waits.
	Rearm(c *Call) bool
	// Doubt says that c has waited for long, so that its connection may be dead.
	Doubt(c *Call)
	// Retire closes what is idle and past its age.
	Retire(now int64)
	// Close ends the link as soon as no call waits.
	Close()
}

// Failure is why a call brings no reply.
type Failure uint8

const (
	// Unreachable means that the network reported that nobody is there.
	Unreachable Failure = iota
	// NotConnected means that no connection could be made.
	NotConnected
	// Lost means that the connection ended.
	Lost
)

// Events is told what comes of calls. Each goroutine has its own.
type Events interface {
	// Replied brings a reply. msg is valid during the call; it has the spelling of
	// Question.Name. cut says that its end is missing.
	Replied(c *Call, msg []byte, cut bool, now int64)
	// Miscased brings a reply that matches except for the case of its name.
	Miscased(c *Call, now int64)
	// Failed says that nothing comes.
	Failed(c *Call, why Failure, now int64)
	// Flush is called before the goroutine waits.
	Flush()
}

// Env is what a transport needs of the program.
type Env struct {
	// Now returns nanoseconds on a clock that never goes back; Deadline turns such
	// a time into one for SetDeadline.
	Now func() int64
	// Events makes the receiver for one more goroutine.
	Events func() Events
	// Acquire and Recycle lend an Events to a goroutine for a moment.
	Acquire func() Events
	Recycle func(Events)
	// Crashed is told when reading a message crashed.
	Crashed func(server netip.AddrPort, msg []byte, cause any)
	// Broken is told when waiting for packets failed, which cannot happen.
	Broken func(err error)
}

// ErrClosed says that the link was closed.
var ErrClosed = errors.New("server was removed")
