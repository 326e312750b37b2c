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

// Since returns the time from earlier to t.
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

// Config is the part of the configuration that affects decisions.
type Config struct {
	Strategy Strategy
	// Timeout bounds one question.
	Timeout time.Duration
	// FirstRetry is the time to the first repetition. 0 means that it is derived from the
	// measured round-trip times.
	FirstRetry time.Duration
	// MixCase asks for names in random case (--do-0x20-encode).
	MixCase bool
	// Streams limits the questions over TCP. It must not be nil.
	Streams *Streams
}

// Way is the kind of transport by which a question is sent to a server.
type Way uint8

const (
	// Usual is the transport that questions use first: UDP for most servers.
	Usual Way = iota
	// Whole is the transport for answers that did not fit the usual one: TCP.
	Whole
)

// EventKind says what happened to a question.
type EventKind uint8

const (
	// Begin starts the question.
	Begin EventKind = iota
	// Tick says that the time [Query.Due] has come.
	Tick
	// Replied brings a reply to an attempt.
	Replied
	// Miscased brings a reply that matches except for the case of its name.
	Miscased
	// Unsent says that an attempt could not be sent because no socket was available.
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
	// Outcome is the judgement of the reply; only for Replied.
	Outcome Outcome
	// Rcode is the (extended) rcode of the reply; only for Replied.
	Rcode int
	// OPT says that the reply has an OPT record.
	OPT bool
	// Keepable says that the reply repeats the question, so that it can be passed on if
	// nothing better comes.
	Keepable bool
}

// Outcome is the judgement of a reply.
type Outcome uint8

const (
	// Good replies answer the question: NOERROR, NXDOMAIN or YXDOMAIN.
	Good Outcome = iota
	// Ignored replies would be good, but the configuration says to ignore them
	// (--ignore-address).
	Ignored
	// Truncated replies have the TC bit: the answer did not fit into a UDP packet. Over TCP, where
	// no more can be had, such a reply is Good.
	Truncated
	// ServerError replies are errors such as SERVFAIL.
	ServerError
	// Declined replies are REFUSED, which may be because of EDNS if they have no OPT record.
	Declined
	// NotUnderstood replies are FORMERR, NOTIMP or BADVERS, which may be because of EDNS (RFC
	// 6891 §7).
	NotUnderstood
	// Malformed replies cannot be parsed.
	Malformed
)

// OutcomeOf judges a reply by its (extended) rcode.
func OutcomeOf(rcode int) Outcome {
	switch rcode {
	case wire.RcodeSuccess, wire.RcodeNXDomain, wire.RcodeYXDomain:
		return Good
	case wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeBadVers:
		return NotUnderstood
	case wire.RcodeRefused:
		return Declined
	}
	return ServerError
}

// Rank orders the replies that a client may get; greater is better. The zero value means no reply.
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

// ActionKind says what the caller has to do.
type ActionKind uint8

const (
	// Send sends the question to Server by Way. Attempt is the number of the attempt.
	Send ActionKind = iota
	// Reopen makes Attempt wait for another reply.
	Reopen
	// Doubt says that Attempt's connection may be dead, because nothing came on it.
	Doubt
	// Keep stores the reply of the event as the best so far, in place of an earlier one.
	Keep
	// Slow tells the owner that Start.SlowAfter has passed.
	Slow
	// Measure sends Server a separate question, whose answer is used only to measure the
	// server.
	Measure
	// Finish ends the question as End says; attempts that are still open are cancelled. It is
	// the last action of a question.
	Finish
)

// Action is one thing for the caller to do.
type Action struct {
	Kind    ActionKind // what to do
	Attempt int        // number of the attempt that it is about
	// Server is an index into Group.Servers.
	Server int
	Way    Way // the transport to use
	// EDNS adds an OPT record, Mixed sends the name in random case, and Alone uses a
	// connection that carries nothing else.
	EDNS, Mixed, Alone bool
	End                End // how the question ends, for Finish
}

// End is how a question ends.
type End uint8

const (
	// EndReply means that the reply of the event is the result.
	EndReply End = iota
	// EndKept means that the reply of the last Keep is the result.
	EndKept
	// EndIgnored means that there is no reply, except ones that were ignored.
	EndIgnored
	// EndTimeout means that no server answered in time.
	EndTimeout
	// EndUnreachable means that no server could be reached.
	EndUnreachable
	// EndMalformed means that no reply could be parsed.
	EndMalformed
)
