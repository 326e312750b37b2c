package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"
)

// Profile says how a server is authenticated (RFC 8310). It is comparable.
type Profile struct {
	// On asks the server over TLS only, or with Clear over TCP in clear text, without any
	// authentication.
	On, Clear bool
	// Name is the name that the certificate must be for, "" for the server's
	// address.
	Name string
	// Pins are SHA-256 digests of public keys (RFC 7858 §4.2), 32 octets each, one
	// after another. If there are any, one of the keys must be in the certificate
	// chain, which must be valid as well.
	Pins string
}

// Trust is whom we trust in a handshake, and who we are. It must not be changed.
type Trust struct {
	// Roots are the certification authorities; nil means the system's.
	Roots *x509.CertPool
	// Certificate is sent to servers that ask for one; nil means none.
	Certificate *tls.Certificate
}

// HandshakeKind says what happened to a connection to a TLS server.
type HandshakeKind uint8

const (
	// Opened means that the server was authenticated, and questions can be sent.
	Opened HandshakeKind = iota
	// Refused means that there is no connection, that a handshake failed, or that a
	// connection ended or fell silent before it brought any reply.
	Refused
	// Gone means that a connection that was opened has ended.
	Gone
	// AnswersOnce means that the server closed a connection after its first answer, so that
	// each question gets one of its own for a while.
	AnswersOnce
)

// Handshake is news of a connection to a TLS server.
type Handshake struct {
	Kind HandshakeKind
	// Resumed says that an earlier session was resumed; only for Opened.
	Resumed bool
	// Took is the time for connection and handshake.
	Took time.Duration
	// Expiry is when the first certificate of the verified chain expires, zero if
	// unknown; only for Opened.
	Expiry time.Time
	// Fault is why there is no connection; only for Refused. Early says that it came
	// before the end of the handshake.
	Fault *TLSFault
	Early bool
	// Others is the number of other connections to the server that are open.
	Others int
}

// TLSEnv is what the transport over TLS needs from the program besides [Env].
type TLSEnv struct {
	// Trust returns what the next handshake works with. The value is compared by
	// pointer: after a change, no session is resumed, and the open connections take
	// no more questions.
	Trust func() *Trust
	// Handshake is called with news of a connection to ep, before the calls on it are
	// told that they failed.
	Handshake func(ep Endpoint, h Handshake, now int64)
}

const (
	// DefaultTLSPort is the port of DNS over TLS, RFC 7858 §3.1.
	DefaultTLSPort = 853
	// tlsIdle is how long a connection stays open without traffic, unless the
	// server says otherwise (RFC 7828); maxTLSIdle bounds that.
	tlsIdle    = 10 * time.Second
	minTLSIdle = time.Second
	maxTLSIdle = time.Minute
	// tlsAge is how long a connection takes questions, ± 10 %, so that new
	// certificates and new servers behind an address are noticed.
	tlsAge = 10 * time.Minute
	// spareRetry is how long no further connection is made after one failed, while
	// others still work; in nanoseconds.
	spareRetry = int64(time.Minute)
	// stalledAfter is how long a question may wait without any reply coming until new
	// questions get another connection; in nanoseconds.
	stalledAfter = int64(2 * time.Second)
	// protocol is what is spoken, for servers that ask (ALPN, RFC 7301; IANA
	// registered it for RFC 7858).
	protocol = "dot"
	// tickets is how many sessions are kept for resumption for each server.
	tickets = 4
)

// NewTLS returns a transport over TLS. At most dials connections wait to be made. See
// [NewTCP] for patience.
func NewTLS(env Env, tlsEnv TLSEnv, dials int, patience time.Duration) *TCP {
	t := NewTCP(env, dials, patience)
	t.idle, t.tls = tlsIdle, &tlsEnv
	return t
}

// secure is what the connections to one TLS server share.
type secure struct {
	env     *TLSEnv // what the transport needs from its user
	profile Profile // how the server is authenticated

	// Guarded by streamPool.mu.

	trust  *Trust        // that config was made for
	config *tls.Config   // nil before the first handshake
	idle   time.Duration // how long a connection stays open without traffic
	// closedIdle counts idle connections that the server closed before us, and
	// brief connections in a row that ended before they brought a reply, in the
	// handshake or after it.
	closedIdle, brief int
	// spareAt is when a further connection may be made while others are open.
	spareAt int64
	// silentALPN offers no protocol in the handshake, because the server refused
	// the one that there is; refused says that it did so since the last success.
	silentALPN, refused bool
}

// handshake makes nc, a connection, a secure one, and returns what the server was
// authenticated with. The error tells operators what is wrong; nc is closed then.
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
		return nil, nil, p.fault(err, asked)
	}
	shaken = true
	return conn, trust, nil
}

// tlsConfig returns the configuration for the next handshake, a copy whose fields the
// caller may replace, and the trust that it was made for.
func (p *streamPool) tlsConfig() (*tls.Config, *Trust) {
	trust := p.secure.env.Trust()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.secure
	if s.config == nil || s.trust != trust {
		s.trust = trust
		s.config = &tls.Config{
			MinVersion: tls.VersionTLS12, ServerName: p.expected(), RootCAs: trust.Roots,
			ClientSessionCache: tls.NewLRUClientSessionCache(tickets),
			VerifyConnection:   func(cs tls.ConnectionState) error { return checkPins(s.profile.Pins, &cs) },
		}
	}
	config := s.config.Clone()
	if !s.silentALPN {
		config.NextProtos = []string{protocol}
	}
	return config, trust
}

// otherALPN reports whether a handshake that failed is to be repeated at once, with
// the protocol if it was without, or without if it was with: some servers demand it,
// others know only protocols of their own. A server that refuses both is not asked
// twice each time.
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

// expected is the name that the certificate must be for: an address counts as
// one.
func (p *streamPool) expected() string {
	if p.secure.profile.Name != "" {
		return p.secure.profile.Name
	}
	return p.ep.Addr.Addr().WithZone("").String()
}

// fault describes an error that came before the server was authenticated. asked says
// that the server wanted a client certificate.
func (p *streamPool) fault(err error, asked bool) *TLSFault {
	if p.secure.profile.Clear {
		return clearFault(p.ep.Addr, err)
	}
	return newTLSFault(p.ep.Addr, p.expected(), err, phase{asked: asked}, time.Now())
}

// expiry is when the first certificate of the verified chain expires.
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

// mayDial reports whether one more connection may be made: over TLS, not while another
// one is being made, and not soon after one failed while others work. mu is held.
func (p *streamPool) mayDial(now int64, shared int, dialling bool) bool {
	return p.secure == nil || !dialling && (shared == 0 || now >= p.secure.spareAt)
}

// opened tells that s can be used. conn is nil for a server in clear text.
func (p *streamPool) opened(s *stream, conn *tls.Conn, took time.Duration) {
	p.mu.Lock()
	p.secure.refused = false
	p.mu.Unlock()
	news := Handshake{Kind: Opened, Took: took, Others: p.others(s)}
	if conn != nil {
		cs := conn.ConnectionState()
		news.Resumed, news.Expiry = cs.DidResume, expiry(&cs)
	}
	p.secure.env.Handshake(p.ep, news, p.tcp.env.Now())
}

// others is the number of open connections without s.
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

// briefLimit is how many connections in a row may end before they brought any
// reply until the server counts as failing.
const briefLimit = 2

// streamEnd is how a stream came to its end.
type streamEnd struct {
	connected bool  // whether the handshake was over
	err       error // nil if we ended it
	open      int   // its questions without a reply
	replies   int   // that it brought
}

// over tells what the end of s means, and returns what its open questions are to be
// told.
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
		// A server that restarts, or a balancer before it, closes what it has accepted.
		if sec.brief++; sec.brief < briefLimit {
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
		sec.brief++
		fault = p.faultOfEnd(s, err)
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
		sec.env.Handshake(p.ep, Handshake{Kind: Refused, Fault: fault, Early: !connected, Others: others}, now)
	}
	if connected {
		sec.env.Handshake(p.ep, Handshake{Kind: Gone, Others: others}, now)
	}
	if fault != nil && others == 0 {
		return NotConnected
	}
	return Lost
}

// closedFirst notes that the server closed an idle connection. From the second
// time on, ours close sooner than that. mu is held.
func (p *streamPool) closedFirst() {
	sec := p.secure
	if sec.closedIdle++; sec.closedIdle >= 2 {
		sec.closedIdle = 0
		sec.idle = max(sec.idle/2, minTLSIdle)
	}
}

// faultOfEnd describes the end of a connection that brought no reply.
func (p *streamPool) faultOfEnd(s *stream, err error) *TLSFault {
	if s.stalled {
		err = errStalled
	}
	if p.secure.profile.Clear {
		return clearFault(p.ep.Addr, err)
	}
	// A client certificate is refused only after a good handshake (RFC 8446
	// §4.4.2.4).
	return newTLSFault(p.ep.Addr, p.expected(), err, phase{asked: true, shaken: true}, time.Now())
}
