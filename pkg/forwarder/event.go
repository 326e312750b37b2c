package forwarder

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// QueryLog receives the events of queries. Log is called on the packet path by many
// goroutines: it must not block for long, and must not keep e or anything that e refers to.
type QueryLog interface {
	Log(e *Event)
}

// EventKind is the kind of an [Event].
type EventKind uint8

// Kinds of events.
const (
	EventQuery     EventKind = iota // a client's query arrived
	EventForwarded                  // a packet was sent to Server
	EventReply                      // Msg came from Server
	EventTruncated                  // Msg came from Server, or was made here, and is truncated
	EventCached                     // Msg, an answer or a failure, is from the cache
	EventStale                      // Msg is an expired answer from the cache
	EventLocal                      // Msg was made from the local data that Source names
	EventError                      // the answer is Rcode, without records
	EventDuplicate                  // the query waits for an equal question in flight
)

// Event is one event in the life of a query.
type Event struct {
	Kind EventKind // what happened
	// Serial numbers the queries of clients from 1. It is 0 for other questions.
	Serial uint64
	// Client is the address of the client; not valid if there is none.
	Client netip.AddrPort
	// Name is the question's name as sent, in wire form, or nil if there was none.
	Name        []byte
	Type, Class uint16 // of the question
	Rcode       int    // response code of the answer
	// Reason is the code of the extended error (RFC 8914) that this program gives the client, if
	// HasReason is set.
	Reason    uint16
	HasReason bool // whether Reason is set
	// Server is the upstream server of EventForwarded, EventReply and EventTruncated.
	Server netip.AddrPort
	// Msg is the message that the event is about; nil for some kinds. If a stage replaced all
	// records of an EventReply (Reason is wire.EDEBlocked), Msg is what Server sent, and Rcode
	// is what the client gets.
	Msg []byte
	// Addr is the address in the reverse name of an EventLocal that is about one; otherwise, it
	// is not valid.
	Addr netip.Addr
	// Source names the local data in the words of its stage, such as the path of a file.
	Source string
}

// log completes an event about q and passes it to the query log, which must not be nil. msg
// may be nil.
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

// log passes an event about a question in flight to the query log, with the first client of
// the question.
func (fl *flight) log(st *snapshot, e Event) {
	e.Serial, e.Client = fl.serial, fl.client.Peer()
	e.Name, e.Type, e.Class = fl.name[:fl.nlen], fl.typ, fl.class
	st.log.Log(&e)
}

// Sent implements upstream.Owner. It logs each packet to an upstream server.
func (fl *flight) Sent(server netip.AddrPort) {
	if st := fl.f.state.Load(); st.log != nil {
		fl.log(st, Event{Kind: EventForwarded, Server: server})
	}
}
