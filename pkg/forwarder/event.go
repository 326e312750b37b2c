package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// QueryLog gets the events of queries. Log is called on the packet path from
// many goroutines: it must not block for long, and must not keep e or what it
// points to.
type QueryLog interface {
	Log(e *Event)
}

// EventKind says what happened.
type EventKind uint8

// Kinds of events.
const (
	EventQuery     EventKind = iota // a client's query arrived
	EventForwarded                  // a packet was sent to Server
	EventReply                      // Msg came from Server
	EventTruncated                  // likewise, but it is truncated
	EventCached                     // Msg, an answer or a failure, is from the cache
	EventStale                      // Msg is from the cache and has expired
	EventLocal                      // Msg was made here, from the data that Source names
	EventError                      // the answer is Rcode, without records
	EventDuplicate                  // the query waits for an equal one in flight
)

// Event is one thing that happened to a query.
type Event struct {
	Kind EventKind
	// Serial numbers queries from 1. Questions that no client asked have 0.
	Serial uint64
	Client netip.AddrPort
	// Name is the question's name as sent, in wire form; nil if there was none.
	Name        []byte
	Type, Class uint16 // of the question
	Rcode       int    // of the answer
	// Reason is the code of the extended error (RFC 8914), if HasReason is set.
	Reason    uint16
	HasReason bool
	// Server is set for EventForwarded, EventReply and EventTruncated.
	Server netip.AddrPort
	// Msg is the message with the records that the event is about.
	Msg []byte
	// Source names local data as its stage does, such as the path of a file.
	Source string
}

// log completes an event about q and gives it to the query log, which there
// must be. msg may be nil.
func (q *Query) log(e Event, msg []byte) {
	e.Serial, e.Client = q.serial, q.to.Peer()
	e.Name, e.Type, e.Class = q.Msg.Name, q.Msg.Type, q.Msg.Class
	if e.Kind != EventError {
		e.Msg = msg
		if msg != nil {
			e.Rcode = wire.Rcode(wire.Flags(msg))
		}
	}
	q.st.log.Log(&e)
}

// log gives the query log an event about a question in flight, told of its
// first asker.
func (fl *flight) log(st *state, e Event) {
	e.Serial, e.Client = fl.serial, fl.client.Peer()
	e.Name, e.Type, e.Class = fl.name[:fl.nlen], fl.typ, fl.class
	st.log.Log(&e)
}

// onSend logs each packet to a server.
func onSend(owner upstream.Owner, server netip.AddrPort) {
	fl, ok := owner.(*flight)
	if !ok {
		return
	}
	if st := fl.f.state.Load(); st.log != nil {
		fl.log(st, Event{Kind: EventForwarded, Server: server})
	}
}
