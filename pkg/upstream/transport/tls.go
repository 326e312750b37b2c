package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"
)

// Trust holds the authorities that we trust in a handshake, and our own certificate. It must
// not be changed once in use.
type Trust struct {
	// Roots are the certification authorities; nil means the system's.
	Roots *x509.CertPool
	// Certificate is sent to servers that ask for one; nil means none.
	Certificate *tls.Certificate
}

// HandshakeKind says what happened to a connection to a TLS server.
type HandshakeKind uint8

const (
	// Opened means that the server was authenticated and questions can be sent.
	Opened HandshakeKind = iota
	// Refused means that no connection could be made, that a handshake failed, or that a
	// connection ended or fell silent before it brought any reply.
	Refused
	// Gone means that a connection that had been opened has ended.
	Gone
	// AnswersOnce means that the server closed a connection after its first answer, so that
	// for a while each question gets its own connection.
	AnswersOnce
)

// Handshake is an event of a connection to a TLS server.
type Handshake struct {
	Kind HandshakeKind
	// Resumed says that an earlier session was resumed; only for Opened.
	Resumed bool
	// Took is the time that connecting and the handshake took.
	Took time.Duration
	// Expiry is when the first certificate of the verified chain expires, zero if
	// unknown; only for Opened.
	Expiry time.Time
	// Fault says why there is no connection; only for Refused. Early says that it occurred
	// before the end of the handshake.
	Fault *TLSFault
	Early bool
	// Others is the number of other connections to the server that are open.
	Others int
}

const (
	// tlsIdle is how long a connection stays open without traffic, unless the
	// server says otherwise (RFC 7828); maxTLSIdle bounds that.
	tlsIdle    = 10 * time.Second
	minTLSIdle = time.Second
	maxTLSIdle = time.Minute
	// tlsAge is how long a connection takes questions, ± 10 %. The limit makes sure that we
	// notice new certificates, and new servers behind an address.
	tlsAge = 10 * time.Minute
	// spareRetry is how long after a failure no further connection is made while others still
	// work, in nanoseconds.
	spareRetry = int64(time.Minute)
	// stalledAfter is how long a question may wait, without any reply arriving, before new
	// questions use another connection, in nanoseconds.
	stalledAfter = int64(2 * time.Second)
	// protocol is the protocol name that we offer in the handshake (ALPN, RFC 7301;
	// registered with IANA for RFC 7858).
	protocol = "dot"
	// tickets is how many sessions are kept for resumption for each server.
	tickets = 4
)

// NewTLS returns a transport over TLS. At most dials connections wait to be made. See
// [NewTCP] for patience.
//
// trust returns the certificates for the next handshake. Values are compared by pointer: after a
// change, no session is resumed, and the open connections take no more questions.
func NewTLS(env Env, trust func() *Trust, dials int, patience time.Duration) *TCP {
	t := NewTCP(env, dials, patience)
	t.idle, t.trust = tlsIdle, trust
	return t
}

// secure is what the connections to one TLS server share.
type secure struct {
	// report is called with each event of a connection, before the calls on that connection are
	// told that they failed.
	report func(h Handshake, now int64)

	// Guarded by streamPool.mu.

	trust  *Trust        // that config was made for
	config *tls.Config   // nil before the first handshake
	idle   time.Duration // how long a connection stays open without traffic
	// closedIdle counts idle connections that the server closed before us, and
	// brief connections in a row that ended before they brought a reply, in the
	// handshake or after it.
	closedIdle, brief int
	// briefAt is when brief was last counted. Connections made before that do not count
	// again: a server that restarts ends all its connections.
	briefAt int64
	// spareAt is when a further connection may be made while others are open.
	spareAt int64
	// silentALPN says to offer no protocol in the handshake, because the server refused ours.
	// refused says that it has refused since the last success.
	silentALPN, refused bool
}

// handshake performs the TLS handshake on nc. It returns the secure connection, and what the
// server was authenticated with. On failure it closes nc and returns an error that tells
// operators what is wrong.
func (p *streamPool) handshake(ctx context.Context, nc net.Conn) (*tls.Conn, *Trust, *TLSFault) {
	config, trust := p.tlsConfig()
	asked := false
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		if trust.Certificate != nil {
			return trust.Certificate, nil
		}
		return new(tls.Certificate), nil
	}
	shaken := false
	defer func() {
		if !shaken {
			_ = nc.Close()
		}
	}()
	conn := tls.Client(nc, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, p.fault(err, phase{asked: asked})
	}
	shaken = true
	return conn, trust, nil
}

// tlsConfig returns the configuration for the next handshake, a copy whose fields the
// caller may replace, and the trust that it was made for.
func (p *streamPool) tlsConfig() (*tls.Config, *Trust) {
	trust := p.tcp.trust()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.secure
	if s.config == nil || s.trust != trust {
		s.trust = trust
		s.config = &tls.Config{
			MinVersion: tls.VersionTLS12, ServerName: p.expected(), RootCAs: trust.Roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(tickets),
			VerifyConnection:   func(cs tls.ConnectionState) error { return checkPins(p.ep.TLS.Pins, &cs) },
		}
	}
	config := s.config.Clone()
	if !s.silentALPN {
		config.NextProtos = []string{protocol}
	}
	return config, trust
}

// otherALPN reports whether to repeat a failed handshake at once, offering our protocol if it
// was not offered before, or not offering it if it was: some servers require it, others
// accept only protocols of their own. If a server refuses both, the handshake is not repeated
// each time.
func (p *streamPool) otherALPN(fault *TLSFault) bool {
	if fault.Reason != FaultProtocol || !noProtocol(fault.cause) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.secure
	again := !s.refused
	s.silentALPN, s.refused = !s.silentALPN, true
	return again
}

// expected returns the name or address that the certificate must be valid for.
func (p *streamPool) expected() string {
	return cmp.Or(p.ep.TLS.Name, p.ep.Addr.Addr().WithZone("").String())
}

// fault describes an error of a connection that had got as far as at says.
func (p *streamPool) fault(err error, at phase) *TLSFault {
	if p.ep.TLS.Clear {
		return clearFault(p.ep.String(), err)
	}
	return newTLSFault(p.ep.String(), p.expected(), err, at, time.Now())
}

// expiry returns when the first certificate of the verified chain expires.
func expiry(cs *tls.ConnectionState) time.Time {
	chain := cs.PeerCertificates
	if len(cs.VerifiedChains) > 0 {
		chain = cs.VerifiedChains[0]
	}
	var first time.Time
	for _, c := range chain {
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}

// mayDial reports whether one more connection may be made. Over TLS it may not while another
// is being made, or soon after one failed while others work. mu must be held.
func (p *streamPool) mayDial(now int64, shared int, dialling bool) bool {
	return p.secure == nil || !dialling && (shared == 0 || now >= p.secure.spareAt)
}

// opened reports that s can be used. conn is nil for a server that is asked in clear text.
func (p *streamPool) opened(s *stream, conn *tls.Conn, took time.Duration) {
	p.mu.Lock()
	p.secure.refused = false
	p.mu.Unlock()
	news := Handshake{Kind: Opened, Took: took, Others: p.others(s)}
	if conn != nil {
		cs := conn.ConnectionState()
		news.Resumed, news.Expiry = cs.DidResume, expiry(&cs)
	}
	p.secure.report(news, p.tcp.env.Now())
}

// others returns the number of open connections other than s.
func (p *streamPool) others(s *stream) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, o := range p.streams {
		if o != s && o.usable() {
			n++
		}
	}
	return n
}

// briefLimit is how many connections in a row must end before bringing any reply for the
// server to count as failing.
const briefLimit = 2

// streamEnd describes how a stream ended.
type streamEnd struct {
	connected bool  // whether the handshake was over
	err       error // nil if we ended it
	open      int   // its questions without a reply
	replies   int   // that it brought
}

// over reports the end of s, and returns the failure to report to its open questions.
func (p *streamPool) over(s *stream, end streamEnd, now int64) Failure {
	connected, err, open, replies := end.connected, end.err, end.open, end.replies
	sec := p.secure
	var fault *TLSFault
	p.mu.Lock()
	switch {
	case !connected:
		fault = asTLSFault(err)
		if fault.Reason != FaultClosed {
			break
		}
		// A server that restarts, or a load balancer in front of it, closes connections that
		// it has just accepted.
		if sec.countBrief(s.made, now); sec.brief < briefLimit {
			fault = nil
		}
	case replies > 0:
		sec.brief = 0
		if err != nil && open == 0 {
			p.closedFirst()
		}
	case err == nil && !s.stalled:
		// Nobody waited for anything.
	default:
		sec.countBrief(s.made, now)
		if s.stalled {
			err = errStalled
		}
		// A server refuses a client certificate only after a successful handshake (RFC 8446
		// §4.4.2.4).
		fault = p.fault(err, phase{asked: true, shaken: true})
		if open == 0 && !s.stalled || sec.brief < briefLimit && fault.Reason == FaultClosed {
			fault = nil
		}
	}
	if fault != nil {
		sec.spareAt = now + spareRetry
	}
	p.mu.Unlock()
	others := p.others(s)
	if fault != nil {
		sec.report(Handshake{Kind: Refused, Fault: fault, Early: !connected, Others: others}, now)
	}
	if connected {
		sec.report(Handshake{Kind: Gone, Others: others}, now)
	}
	if fault != nil && others == 0 {
		return NotConnected
	}
	return Lost
}

// countBrief counts a connection, made at the time made, that brought no reply. The owner's mu
// must be held.
func (sec *secure) countBrief(made, now int64) {
	if made >= sec.briefAt {
		sec.brief++
		sec.briefAt = now
	}
}

// closedFirst records that the server closed an idle connection before us. From the second
// time on, we close ours earlier. mu must be held.
func (p *streamPool) closedFirst() {
	sec := p.secure
	if sec.closedIdle++; sec.closedIdle >= 2 {
		sec.closedIdle = 0
		sec.idle = max(sec.idle/2, minTLSIdle)
	}
}
