package listener

import "net/netip"

// ReplyTo says where the answer to one query goes: which socket or connection,
// which peer, from which local address. It is a small comparable value; two
// queries of one TCP connection, or of one UDP peer to one local address, have
// equal ones, and a later connection from the same peer has another. It stays
// safe to use after its socket or connection is gone. The zero value goes
// nowhere.
type ReplyTo struct {
	sink   Sink
	peer   netip.AddrPort
	local  netip.Addr
	scope  uint32 // interface of a link-local IPv6 peer, as in sin6_scope_id
	stream bool
}

// NewReplyTo returns a ReplyTo whose answers go to s, for fakes of the
// listener. stream says whether the query came over TCP.
func NewReplyTo(s Sink, peer netip.AddrPort, local netip.Addr, stream bool) ReplyTo {
	return ReplyTo{sink: s, peer: peer, local: local, stream: stream}
}

// Peer returns the address and port that asked, without an IPv6 zone.
func (r ReplyTo) Peer() netip.AddrPort { return r.peer }

// Local returns the local address that was asked, from which the answer
// leaves, without an IPv6 zone. It is not valid when the kernel did not tell.
func (r ReplyTo) Local() netip.Addr { return r.local }

// Stream reports whether the query came over TCP, so that the answer needs no
// truncation.
func (r ReplyTo) Stream() bool { return r.stream }

// Send sends msg as the answer. It may be called from any goroutine, at any
// time, does not block, and does not keep msg. A message that can no longer be
// delivered is counted and dropped.
func (r ReplyTo) Send(msg []byte) {
	if r.sink != nil {
		r.sink.Send(r, msg)
	}
}

// Drop says that the query will never be answered. A TCP connection with an
// unanswered query is kept open for the answer; with a dropped one it counts as
// idle. Drop may be called from any goroutine, at most once for a query and
// instead of Send.
func (r ReplyTo) Drop() {
	if r.stream && r.sink != nil {
		r.sink.Send(r, nil)
	}
}
