package listener

import "sync/atomic"

// Stats counts what a [Server] did since it was made. All but TCPOpen and
// TCPBufferBytes only grow.
type Stats struct {
	UDPQueries       uint64 // packets given to the handler
	UDPReplies       uint64 // packets the kernel took
	UDPBatches       uint64 // recvmmsg calls that brought packets
	UDPOversize      uint64 // dropped: longer than Config.PacketBytes
	UDPShort         uint64 // dropped: shorter than a DNS header
	UDPPortZero      uint64 // dropped: from port 0, to which nothing can be sent
	UDPReceiveErrors uint64 // recvmmsg calls that failed
	UDPSendErrors    uint64 // replies the kernel refused
	UDPLate          uint64 // replies for a socket that is closed

	TCPOpen          uint64 // connections open now
	TCPBufferBytes   uint64 // of Config.MaxBufferBytes in use now
	TCPAccepted      uint64 // connections taken
	TCPRefused       uint64 // connections closed at once because of a limit
	TCPEvicted       uint64 // connections closed to make room for others
	TCPIdleClosed    uint64 // connections closed by IdleTimeout or PendingTimeout
	TCPMalformed     uint64 // connections closed for a message that is too short or broke off
	TCPWriteTimeouts uint64 // connections closed because the client did not read
	TCPShed          uint64 // connections closed because of Config.MaxBufferBytes
	TCPAcceptErrors  uint64 // accept calls that failed
	TCPQueries       uint64 // messages given to the handler
	TCPReplies       uint64 // messages queued for a connection
	TCPDropped       uint64 // messages that the handler decided not to answer
	TCPLate          uint64 // replies for a connection that is gone

	Oversize uint64 // replies dropped: longer than a message can be
	Panics   uint64 // calls of the handler that panicked
}

// udpCounters are one socket's part of Stats. The first group is written by
// the socket's goroutine only, once per batch.
type udpCounters struct {
	queries, replies, batches, oversize, short, portZero, receiveErrors atomic.Uint64

	_ [64]byte // senders of late answers write the rest from other cores

	lateReplies, sendErrors, late, replyOversize atomic.Uint64
}

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

// tcpCounters are the connections' part of Stats.
type tcpCounters struct {
	accepted, refused, evicted, idleClosed, malformed, writeTimeouts, shed, acceptErrors atomic.Uint64
	queries, replies, dropped, late, replyOversize                                       atomic.Uint64
}

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
