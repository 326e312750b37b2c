package listener

import "sync/atomic"

// Stats holds the counters of a [Server] since it was created. All except TCPOpen and
// TCPBufferBytes only grow.
type Stats struct {
	UDPQueries       uint64 // packets passed to the handler
	UDPReplies       uint64 // packets accepted by the kernel
	UDPBatches       uint64 // recvmmsg calls that returned packets
	UDPOversize      uint64 // packets dropped: longer than packetBytes
	UDPShort         uint64 // packets dropped: shorter than a DNS header
	UDPPortZero      uint64 // packets dropped: from port 0, to which nothing can be sent
	UDPReceiveErrors uint64 // recvmmsg calls that failed
	UDPSendErrors    uint64 // replies refused by the kernel
	UDPLate          uint64 // replies dropped: the socket has been closed

	TCPOpen          uint64 // connections open now
	TCPBufferBytes   uint64 // octets of Config.maxBufferBytes in use now
	TCPAccepted      uint64 // connections accepted
	TCPRefused       uint64 // connections closed at once because of a limit
	TCPEvicted       uint64 // connections closed to make room for others
	TCPIdleClosed    uint64 // connections closed by idleTimeout or pendingTimeout
	TCPMalformed     uint64 // connections closed because a message was too short or incomplete
	TCPWriteTimeouts uint64 // connections closed because the client did not read its answers in time
	TCPShed          uint64 // connections closed because of Config.maxBufferBytes
	TCPAcceptErrors  uint64 // accept calls that failed
	TCPQueries       uint64 // messages passed to the handler
	TCPReplies       uint64 // messages queued for a connection
	TCPDropped       uint64 // queries that the handler decided not to answer
	TCPLate          uint64 // replies dropped: the connection has been closed

	Oversize uint64 // replies dropped: longer than MaxMessageBytes
	Panics   uint64 // panics of the handler
}

// udpCounters are one socket's part of Stats; each counter is described there.
type udpCounters struct {
	// Only the socket's goroutine changes these, once for each batch.
	queries, replies, batches, oversize, short, portZero, receiveErrors atomic.Uint64

	_ [64]byte // keeps the two groups in different cache lines

	// Goroutines that send late answers change these from other cores. lateReplies
	// counts as UDPReplies, replyOversize as Oversize.
	lateReplies, sendErrors, late, replyOversize atomic.Uint64
}

// addTo adds the counters to s.
func (c *udpCounters) addTo(s *Stats) {
	s.UDPQueries += c.queries.Load()
	s.UDPReplies += c.replies.Load() + c.lateReplies.Load()
	s.UDPBatches += c.batches.Load()
	s.UDPOversize += c.oversize.Load()
	s.UDPShort += c.short.Load()
	s.UDPPortZero += c.portZero.Load()
	s.UDPReceiveErrors += c.receiveErrors.Load()
	s.UDPSendErrors += c.sendErrors.Load()
	s.UDPLate += c.late.Load()
	s.Oversize += c.replyOversize.Load()
}

// tcpCounters are the TCP part of Stats; each counter is described there. Any
// goroutine may change them.
type tcpCounters struct {
	// Connections.
	accepted, refused, evicted, idleClosed, malformed, writeTimeouts, shed, acceptErrors atomic.Uint64
	// Messages. replyOversize counts as Oversize.
	queries, replies, dropped, late, replyOversize atomic.Uint64
}

// addTo adds the counters to s.
func (c *tcpCounters) addTo(s *Stats) {
	s.TCPAccepted += c.accepted.Load()
	s.TCPRefused += c.refused.Load()
	s.TCPEvicted += c.evicted.Load()
	s.TCPIdleClosed += c.idleClosed.Load()
	s.TCPMalformed += c.malformed.Load()
	s.TCPWriteTimeouts += c.writeTimeouts.Load()
	s.TCPShed += c.shed.Load()
	s.TCPAcceptErrors += c.acceptErrors.Load()
	s.TCPQueries += c.queries.Load()
	s.TCPReplies += c.replies.Load()
	s.TCPDropped += c.dropped.Load()
	s.TCPLate += c.late.Load()
	s.Oversize += c.replyOversize.Load()
}
