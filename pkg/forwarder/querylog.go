package forwarder

import "net/netip"

// QueryLog gets the events of queries. Log is called on the packet path from
// many goroutines: it must not block for long, and must not keep e or what it
// points to.
type QueryLog interface {
	Log(e *Event)
}

// EventKind says what happened.
type EventKind uint8

// Kinds of events, with dnsmasq's words for them.
const (
	EventQuery     EventKind = iota // "query[A] name from client"
	EventForwarded                  // "forwarded name to server"
	EventReply                      // "reply name is ...": Msg came from Server
	EventCached                     // "cached name is ...": Msg is from the cache
	EventStale                      // "cached-stale name is ..."
	EventConfig                     // "config name is ...", or of Source: local data
	EventError                      // "config error is REFUSED": Rcode without records
	EventDuplicate                  // "query is duplicate": joined one in flight
	EventTruncated                  // "reply is truncated"
)

// Event is one line of the story of a query.
type Event struct {
	Kind EventKind
	// Serial numbers queries from 1; a question without asker has 0.
	Serial uint64
	Client netip.AddrPort
	// Name is the question's name as sent, in wire form; nil if there was none.
	Name        []byte
	Type, Class uint16
	Rcode       int
	// Reason is the extended error code, if HasReason is set.
	Reason    uint16
	HasReason bool
	// Server is set for EventForwarded and EventReply.
	Server netip.AddrPort
	// Msg is the message with the records that the event is about.
	Msg []byte
	// Source names local data: a hosts file's path, or "" for the configuration.
	Source string
}
