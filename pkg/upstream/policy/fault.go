package policy

// FaultKind says why an attempt brought nothing usable.
type FaultKind uint8

const (
	// NoFault means that nothing has failed.
	NoFault FaultKind = iota
	// FaultSilent means that no reply came in time.
	FaultSilent
	// FaultRcode means that the reply is an error, of Fault.Rcode.
	FaultRcode
	// FaultMalformed means that the reply cannot be read.
	FaultMalformed
	// FaultRefused means that the network reported that nothing listens at the address,
	// or that it cannot be reached.
	FaultRefused
	// FaultUnsent means that the question could not be sent.
	FaultUnsent
	// FaultNotConnected means that no TCP connection could be made.
	FaultNotConnected
	// FaultLost means that the TCP connection ended without a reply.
	FaultLost
	// FaultHandshake means that no TLS connection could be made.
	FaultHandshake
)

// Fault is one failure of a server.
type Fault struct {
	Kind  FaultKind
	Rcode int  // the extended rcode, for FaultRcode
	At    Time // when it was noticed
}

// fails counts a failure and stores it as the last one.
func (s *Server) fails(now Time, kind FaultKind) { s.failsWith(Fault{Kind: kind, At: now}) }

func (s *Server) failsWith(f Fault) {
	s.Failures++
	s.lastFault = f
}

// LastFault returns the last failure; its Kind is NoFault if there was none.
func (s *Server) LastFault() Fault { return s.lastFault }

// faultOfConnection returns the kind of fault for a connection that failed with an event of
// the given kind.
func (s *Server) faultOfConnection(kind EventKind) FaultKind {
	switch {
	case kind == Lost:
		return FaultLost
	case s.secure.on:
		return FaultHandshake
	}
	return FaultNotConnected
}

// faultOf returns the fault that a reply shows.
func faultOf(now Time, ev *Event) Fault {
	if ev.Outcome == Malformed {
		return Fault{Kind: FaultMalformed, At: now}
	}
	return Fault{Kind: FaultRcode, Rcode: ev.Rcode, At: now}
}
