// Package transport sends questions to upstream servers and receives their replies. Create a
// transport with [NewUDP], [NewTCP] or [NewTLS], get a [Link] to each server, and send a
// [Call] on it. The outcome is reported to the [Events] of the goroutine that receives it:
//
//	link := udp.Link(endpoint)
//	err := link.Send(call, now)   // queued
//	udp.Flush(events)             // sent
//	// later, on a goroutine of the transport:
//	events.Replied(call, msg, cut, now)
//
// A transport makes no decisions: it does not repeat questions, choose servers or judge
// replies. A reply belongs to a call only if it came on the call's own socket or connection
// and its ID and question match (RFC 5452 §9.1); with Call.Mixed, the case of the question's
// letters must match as well.
//
// # UDP
//
// Each server has a pool of connected sockets, so that the kernel drops packets from other
// senders and reports refused ports. Each call uses a random socket and a random ID. Packets
// are sent and received in batches. A few goroutines wait for all sockets with epoll.
//
// # TCP
//
// Connections are few, shared and pipelined (RFC 7766). Each has two goroutines, and closes
// after being idle for a while.
//
// # TLS
//
// [NewTLS] returns the same transport over TLS (RFC 7858), with the strict profile: a server
// that cannot be authenticated is not asked (RFC 8310 §5). Questions are padded (RFC 8467),
// and connections stay open as long as the server says (RFC 7828). Events of connections are
// reported to the function that was passed to Link.
//
// # Ownership and locks
//
// The transport uses a call and its question from a successful Send until Cancel returns
// true, or until a method of Events for the call returns without a Rearm. Until then, the
// caller must not change them.
//
// Locks, in the order in which they may be taken: pool, socket or connection, queue. No lock
// is held while a method of Events is called.
package transport

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
)

// Question is a question to send.
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

// Call is a question to one server, and what the transport knows about it.
type Call struct {
	// Question, Owner and Index belong to the caller. The transport only reads the question.
	Question *Question
	Owner    any // see Question
	Index    int // see Question
	// EDNS adds an OPT record. Mixed sends the name in random case, on transports where this
	// makes forgery harder. Alone uses a connection that carries nothing else. Whole is for
	// the caller's use.
	EDNS, Mixed, Alone, Whole bool
	// Cold is set by Send if the question has to wait for a connection to be made.
	Cold bool

	id     uint16  // the message id
	mix    uint64  // the case of the name
	sock   *socket // over UDP
	stream *stream // over TCP
	sent   int64   // when it was sent, in nanoseconds of Env's clock
}

// Link sends calls to one server. Its methods do not block.
type Link interface {
	// Send queues c's question. If it returns an error, c gets no event.
	Send(c *Call, now int64) error
	// Cancel takes c back. It returns false if an event for c is being reported or was
	// reported already.
	Cancel(c *Call) bool
	// Rearm makes c wait for one more reply, and reports whether it does. It may be called
	// only during an event for c.
	Rearm(c *Call) bool
	// Doubt says that c has waited for so long that its connection may be dead.
	Doubt(c *Call)
	// Retire closes sockets and connections that are idle and past their age. now is in
	// nanoseconds of Env's clock.
	Retire(now int64)
	// Close ends the link once no call waits on it.
	Close()
}

// calls holds the calls that wait on one socket or connection, by message ID.
type calls map[uint32]*Call

// find returns the call with a message ID, or nil.
func (t calls) find(id uint16) *Call { return t[uint32(id)] }

// insert inserts c, whose ID must be free.
func (t calls) insert(c *Call) { t[uint32(c.id)] = c }

// remove removes c and reports whether it was there.
func (t calls) remove(c *Call) bool {
	if t.find(c.id) != c {
		return false
	}
	delete(t, uint32(c.id))
	return true
}

// takeAll removes and returns all calls.
func (t calls) takeAll() []*Call {
	list := slices.Collect(maps.Values(t))
	clear(t)
	return list
}

// Failure says why a call brings no reply.
type Failure uint8

const (
	// Unreachable means that the network reported the server as unreachable.
	Unreachable Failure = iota
	// NotConnected means that no connection could be made.
	NotConnected
	// Lost means that the connection ended.
	Lost
)

// Events receives the outcomes of calls. Each goroutine has its own.
type Events interface {
	// Replied delivers a reply. msg is valid only during the call; its question has the
	// spelling of Question.Name. cut says that the end of msg is missing.
	Replied(c *Call, msg []byte, cut bool, now int64)
	// Miscased reports a reply that matches except for the case of its name.
	Miscased(c *Call, now int64)
	// Failed says that no reply will come.
	Failed(c *Call, why Failure, now int64)
	// Flush is called before the goroutine waits.
	Flush()
}

// Env is what a transport needs from the program.
type Env struct {
	// Now returns nanoseconds on a clock that never goes back.
	Now func() int64
	// Acquire lends an Events to a goroutine; Recycle takes it back.
	Acquire func() Events
	Recycle func(Events)
	// Crashed is called when parsing a message panicked.
	Crashed func(server netip.AddrPort, msg []byte, cause any)
	// Broken is called when waiting for packets failed, which should never happen.
	Broken func(err error)
}

// ErrClosed means that the link was closed.
var ErrClosed = errors.New("server was removed")
