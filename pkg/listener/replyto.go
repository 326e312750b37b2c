package listener

import "net/netip"

// ReplyTo says where the answer to one query goes: through which socket or connection,
// to which peer, and from which local address. It is a small comparable value. Two
// queries of one TCP connection, or of one UDP peer to one local address, have equal
// values; a later connection of the same peer has another. It is safe to use after its
// socket or connection has been closed. With the zero value, answers are dropped.
type ReplyTo struct {
	sink   Sink
	peer   netip.AddrPort
	local  netip.Addr
	scope  uint32 // interface of a link-local IPv6 peer, as in sin6_scope_id
	stream bool
}

// NewReplyTo returns a ReplyTo whose answers go to s, for fakes of the listener in
// tests. stream says whether the query came over TCP.
func NewReplyTo(s Sink, peer netip.AddrPort, local netip.Addr, stream bool) ReplyTo {
	return ReplyTo{sink: s, peer: peer, local: local, stream: stream}
}

// Peer returns the address and port of the client, without an IPv6 zone.
func (r ReplyTo) Peer() netip.AddrPort { return r.peer }

// Local returns the local address that received the query and sends the answer,
// without an IPv6 zone. It is not valid if the kernel did not report it.
func (r ReplyTo) Local() netip.Addr { return r.local }

// Stream reports whether the query came over TCP, so that the answer needs no
// truncation.
func (r ReplyTo) Stream() bool { return r.stream }

// Send sends msg as the answer. Any goroutine may call it at any time. It does not
// block, and does not keep msg. A message that can no longer be sent is counted and
// dropped.
func (r ReplyTo) Send(msg []byte) {
	if r.sink != nil {
		r.sink.Send(r, msg)
	}
}

// Drop says that the query will never be answered, so that a TCP connection is not
// kept open for the answer. Any goroutine may call it, at most once for a query, and
// instead of Send.
func (r ReplyTo) Drop() {
	if r.stream && r.sink != nil {
		r.sink.Send(r, nil)
	}
}
