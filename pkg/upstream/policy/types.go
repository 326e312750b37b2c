package policy

import (
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Time is a point in time in nanoseconds, on a clock that never goes back. 0
// stands for "never".
type Time int64

// Add returns the time that is d later.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Since returns how much later t is than earlier.
func (t Time) Since(earlier Time) time.Duration { return time.Duration(t - earlier) }

// Strategy says which servers of a group are asked.
type Strategy uint8

const (
	// Fastest asks the server that answered fastest, and all of them now and
	// then (dnsmasq's default).
	Fastest Strategy = iota
	// InOrder asks the first server that answers at all, in the order of the
	// configuration (--strict-order).
	InOrder
	// All asks all servers at once (--all-servers).
	All
)

// Config is the part of the configuration that decides.
type Config struct {
	Strategy Strategy
	// Timeout bounds one question.
	Timeout time.Duration
	// FirstRetry is the time to the first repetition; 0 derives it from the
	// measured round-trip times.
	FirstRetry time.Duration
	// MixCase asks for random case in names (--do-0x20-encode).
	MixCase bool
	// Streams limits the questions over TCP. It must not be nil.
	Streams *Streams
}

// Way is how a message travels to a server.
type Way uint8

const (
	// Usual is the transport for every question: UDP for most servers.
	Usual Way = iota
	// Whole is the transport for answers that did not fit: TCP.
	Whole
)

// EventKind says what happened to a question.
type EventKind uint8

const (
	// Begin starts the question.
	Begin EventKind = iota
	// Tick says that [Query.Due] has come.
	Tick
	// Replied brings a reply to an attempt.
	Replied
	// Miscased brings a reply that matches except for the case of its name.
	Miscased
	// Unsent says that an attempt could not be sent: no socket could be had.
	Unsent
	// Refused says that the network reported the server as unreachable.
	Refused
	// NotConnected says that no connection could be made.
	NotConnected
	// Lost says that an established connection ended without a reply.
	Lost
	// Dialling says that an attempt waits for a connection to be made.
	Dialling
)

// Event is something that happened to a question.
type Event struct {
	Kind EventKind
	// Attempt is the attempt concerned, as numbered by a Send action.
	Attempt int
	// Outcome is what the reply is worth; only for Replied.
	Outcome Outcome
	// Rcode is the (extended) rcode of the reply; only for Replied.
	Rcode int
	// OPT says that the reply has an OPT record.
	OPT bool
	// Keepable says that the reply repeats the question, so that it can be passed
	// on when nothing better comes.
	Keepable bool
}

// Outcome is what a reply is worth.
type Outcome uint8

const (
	// Good answers the question: NOERROR, NXDOMAIN or YXDOMAIN.
	Good Outcome = iota
	// Ignored would be good, but the configuration says to ignore it
	// (--ignore-address).
	Ignored
	// Truncated did not fit.
	Truncated
	// ServerError is an error such as SERVFAIL.
	ServerError
	// Declined is REFUSED, which may be about EDNS if the reply has no OPT record.
	Declined
	// NotUnderstood is FORMERR, NOTIMP or BADVERS, which may be about EDNS
	// (RFC 6891 §7).
	NotUnderstood
	// Malformed cannot be read.
	Malformed
)

// OutcomeOf judges a reply by its (extended) rcode.
func OutcomeOf(rcode int) Outcome {
	switch rcode {
	case wire.RcodeSuccess, wire.RcodeNXDomain, rcodeYXDomain:
		return Good
	case wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeBadVers:
		return NotUnderstood
	case wire.RcodeRefused:
		return Declined
	}
	return ServerError
}

// rcodeYXDomain says that a DNAME leads to a name that is too long, RFC 6672 §2.2.
const rcodeYXDomain = 6

// Rank orders what a client may be told. The zero value is nothing.
type Rank uint8

const (
	// RankNone is no reply.
	RankNone Rank = iota
	// RankError is a server's error.
	RankError
	// RankIgnored is a reply that the configuration says to ignore.
	RankIgnored
	// RankTruncated is a part of a good answer.
	RankTruncated
	// RankGood is an answer that ends the question.
	RankGood
)

// Better reports whether r is worth more than other.
func (r Rank) Better(other Rank) bool { return r > other }

// ActionKind says what the caller has to do.
type ActionKind uint8

const (
	// Send asks Server by Way. Attempt is the number of the attempt.
	Send ActionKind = iota
	// Reopen waits for another reply to Attempt.
	Reopen
	// Doubt says that Attempt's connection may be dead: nothing came on it.
	Doubt
	// Keep remembers the reply of the event as the best so far, in place of an
	// earlier one.
	Keep
	// Slow tells the client side that the time for a slow answer has come.
	Slow
	// Measure starts a question of its own to Server whose answer only tells
	// how the server is.
	Measure
	// Finish ends the question; attempts that are still open are given up. End
	// says with what. It is the last action of a question.
	Finish
)

// Action is something to do.
type Action struct {
	Kind    ActionKind // what to do
	Attempt int        // number of the attempt that it is about
	// Server is an index into Group.Servers.
	Server int
	Way    Way // the transport to use
	// EDNS sends an OPT record, Mixed random case, Alone uses a connection that
	// carries nothing else.
	EDNS, Mixed, Alone bool
	End                End // how the question ends, for Finish
}

// End is how a question ends.
type End uint8

const (
	// EndReply ends with the reply of the event.
	EndReply End = iota
	// EndKept ends with the reply of the last Keep.
	EndKept
	// EndIgnored ends without a reply: there was one to be ignored.
	EndIgnored
	// EndTimeout ends because no server answered in time.
	EndTimeout
	// EndUnreachable ends because no server could be reached.
	EndUnreachable
	// EndMalformed ends because no reply could be read.
	EndMalformed
)
