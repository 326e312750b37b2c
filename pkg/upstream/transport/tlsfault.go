package transport

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// FaultReason is the class of a [TLSFault].
type FaultReason uint8

const (
	// FaultConnect means that no TCP connection could be made.
	FaultConnect FaultReason = iota
	// FaultTimeout means that the server did not accept the connection, finish the
	// handshake or answer the first questions in time.
	FaultTimeout
	// FaultProtocol means that the server does not speak TLS 1.2 or 1.3, or refuses the
	// handshake.
	FaultProtocol
	// FaultUnknownCA means that no trusted authority has signed the certificate, or that it
	// was not issued for use by a server.
	FaultUnknownCA
	// FaultName means that the certificate is valid only for other names.
	FaultName
	// FaultExpired means that the certificate has expired, by this host's clock.
	FaultExpired
	// FaultNotYetValid means that the certificate is not valid yet, by this host's clock.
	FaultNotYetValid
	// FaultPin means that none of the pinned keys is in the chain.
	FaultPin
	// FaultClientCert means that the server requires a client certificate, or does not accept
	// ours.
	FaultClientCert
	// FaultClosed means that the server closed the connection.
	FaultClosed
	// FaultReasons is the number of values above.
	FaultReasons
)

//nolint:gochecknoglobals // a constant table
var faultNames = [FaultReasons]string{
	"connect", "timeout", "protocol", "unknown_ca", "name", "expired", "not_yet_valid", "pin", "client_cert", "closed",
}

// String returns the reason as used in the metrics.
func (r FaultReason) String() string { return faultNames[r] }

// TLSFault is the error that says why a TLS server cannot be asked. Its text names the
// server, what was expected and what was found, and this host's time where that matters.
type TLSFault struct {
	Reason FaultReason
	text   string
	cause  error
}

// Error implements error.
func (f *TLSFault) Error() string { return f.text }

// Unwrap returns the underlying error of crypto/tls or of the network.
func (f *TLSFault) Unwrap() error { return f.cause }

func asTLSFault(err error) *TLSFault {
	if f, ok := errors.AsType[*TLSFault](err); ok {
		return f
	}
	return &TLSFault{Reason: FaultConnect, text: err.Error(), cause: err}
}

var (
	errStalled = errors.New("the server answers nothing")
	errPins    = errors.New("no pinned key in the certificate chain")
)

// pinError lists the keys that were found when none matched the pins.
type pinError struct{ found []string }

func (e *pinError) Error() string { return errPins.Error() + "; found " + listed(e.found) }

// checkPins returns an error unless pins is empty or contains a key of the verified chain.
func checkPins(pins string, cs *tls.ConnectionState) error {
	if pins == "" {
		return nil
	}
	chain := cs.PeerCertificates
	if len(cs.VerifiedChains) > 0 {
		chain = nil
		for _, verified := range cs.VerifiedChains {
			chain = append(chain, verified...)
		}
	}
	var found []string
	for _, c := range chain {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		for rest := pins; len(rest) >= len(sum); rest = rest[len(sum):] {
			if rest[:len(sum)] == string(sum[:]) {
				return nil
			}
		}
		if text := hex.EncodeToString(sum[:]); !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return &pinError{found}
}

// timeText formats a point in time for messages.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// phase says how far a connection had got.
type phase struct {
	asked  bool // the server may have wanted a client certificate
	shaken bool // the handshake was over
}

// newTLSFault classifies err, an error of a connection to a server whose certificate must be
// valid for the name expected.
func newTLSFault(server, expected string, err error, at phase, now time.Time) *TLSFault {
	f := &TLSFault{cause: err}
	say := func(reason FaultReason, format string, args ...any) *TLSFault {
		f.Reason, f.text = reason, server+": "+fmt.Sprintf(format, args...)
		return f
	}
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		pins    *pinError
		alert   tls.AlertError
		header  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &pins):
		return say(FaultPin, "none of the pinned keys is in the certificate chain of %s, which has the keys %s",
			expected, listed(pins.found))
	case errors.As(err, &invalid):
		return certificateFault(say, &invalid, expected, now)
	case errors.As(err, &host):
		return say(FaultName, "certificate is not for the expected name %s but for %s%s",
			expected, namesOf(host.Certificate), addressHint(expected, host.Certificate))
	case errors.As(err, &unknown):
		return say(FaultUnknownCA, "certificate for %s of the expected name %s is signed by the unknown authority %s%s",
			namesOf(unknown.Cert), expected, issuerOf(unknown.Cert), selfSigned(unknown.Cert))
	case errors.As(err, &alert) || isRemoteAlert(err):
		return alertFault(say, err, at)
	case errors.As(err, &header) && !at.shaken:
		return say(FaultProtocol, "the server does not speak TLS: %v", err)
	case errors.Is(err, errStalled):
		return say(FaultTimeout, "connected, but the server answers nothing")
	case isTimeout(err):
		return say(FaultTimeout, "no connection within %v: %s; where large first packets are lost, try GODEBUG=tlsmlkem=0",
			dialTimeout, lastPart(err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return say(FaultClosed, "the server closed the connection%s", map[bool]string{
			true: " without an answer", false: " during the handshake",
		}[at.shaken])
	case at.shaken:
		return say(FaultClosed, "the connection ended: %v", err)
	case isNetwork(err):
		return say(FaultConnect, "cannot connect: %s", lastPart(err))
	}
	return say(FaultProtocol, "handshake failed: %s", strings.TrimPrefix(err.Error(), "tls: "))
}

// clearFault describes err, an error of a connection to a server in clear text.
func clearFault(server string, err error) *TLSFault {
	f := &TLSFault{Reason: FaultConnect, cause: err}
	text := "cannot connect: " + lastPart(err)
	switch {
	case errors.Is(err, errStalled):
		f.Reason, text = FaultTimeout, "connected, but the server answers nothing"
	case isTimeout(err):
		f.Reason, text = FaultTimeout, fmt.Sprintf("no connection within %v", dialTimeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.Reason, text = FaultClosed, "the server closed the connection without an answer"
	}
	f.text = server + ": " + text
	return f
}

// certificateFault describes a certificate that is not valid.
func certificateFault(say func(FaultReason, string, ...any) *TLSFault, e *x509.CertificateInvalidError, expected string, now time.Time) *TLSFault {
	c := e.Cert
	switch {
	case e.Reason == x509.Expired && now.Before(c.NotBefore):
		return say(FaultNotYetValid, "certificate for %s is not yet valid: it begins at %s, and this host's clock is %s (expected name %s)",
			namesOf(c), timeText(c.NotBefore), timeText(now), expected)
	case e.Reason == x509.Expired:
		return say(FaultExpired, "certificate for %s expired at %s; this host's clock is %s (expected name %s)",
			namesOf(c), timeText(c.NotAfter), timeText(now), expected)
	case e.Reason == x509.NameMismatch:
		return say(FaultName, "certificate is not for the expected name %s but for %s", expected, namesOf(c))
	case e.Reason == x509.IncompatibleUsage:
		return say(FaultUnknownCA, "certificate for %s is not one for servers (extended key usage; expected name %s)", namesOf(c), expected)
	}
	return say(FaultUnknownCA, "certificate for %s cannot be verified: %v (issuer %s, expected name %s)",
		namesOf(c), e, issuerOf(c), expected)
}

// alertFault describes an alert that the server sent. The numbers are those of
// RFC 8446 §6.
func alertFault(say func(FaultReason, string, ...any) *TLSFault, err error, at phase) *TLSFault {
	text := lastPart(err)
	for _, part := range []string{"certificate required", "bad certificate", "unknown certificate authority", "unknown certificate", "expired certificate", "revoked certificate", "unsupported certificate", "access denied"} {
		if strings.Contains(text, part) {
			return say(FaultClientCert, "the server refuses our client certificate, or wants one (--tls-cert-file): %s", text)
		}
	}
	switch {
	case strings.Contains(text, "handshake failure") && at.asked:
		return say(FaultClientCert, "the server wants a client certificate (--tls-cert-file): %s", text)
	case noProtocol(err):
		return say(FaultProtocol, "the server speaks other protocols than %q on this port (ALPN): %s", protocol, text)
	case at.shaken:
		return say(FaultProtocol, "the server ended the connection with an alert: %s", text)
	}
	return say(FaultProtocol, "the server refuses the handshake: %s", text)
}

// noProtocol reports whether err is the alert by which a server says that it supports none of
// the offered protocols, or that none was offered (RFC 7301 §3.2).
func noProtocol(err error) bool {
	return isRemoteAlert(err) && lastPart(err) == "no application protocol"
}

// isRemoteAlert reports whether err is an alert that came from the server.
func isRemoteAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func isNetwork(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok || errors.Is(err, context.Canceled)
}

// lastPart returns the end of the text of a wrapped error, which is its most specific part.
func lastPart(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}

// maxNames bounds the names, or keys, of a certificate chain in a message.
const maxNames = 4

// namesOf lists the names and addresses that a certificate is valid for.
func namesOf(c *x509.Certificate) string {
	var names []string
	for _, name := range c.DNSNames {
		names = append(names, printable(name))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	switch n := len(names); {
	case n == 0 && c.Subject.CommonName != "":
		return printable(c.Subject.CommonName) + " (a common name only, without subjectAltName)"
	case n == 0:
		return "no name"
	}
	return listed(names)
}

// listed returns a list as text, cut off after maxNames elements.
func listed(list []string) string {
	if n := len(list) - maxNames; n > 0 {
		return strings.Join(list[:maxNames], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}

// addressHint says what to do if an address was expected, but the certificate has only
// names.
func addressHint(expected string, c *x509.Certificate) string {
	if _, err := netip.ParseAddr(expected); err != nil || len(c.IPAddresses) > 0 {
		return ""
	}
	return "; it doesn't contain any IP SANs, so give the server's name (name=NAME)"
}

func issuerOf(c *x509.Certificate) string {
	if text := c.Issuer.CommonName; text != "" {
		return printable(text)
	}
	return printable(c.Issuer.String())
}

// printable makes a text from a certificate safe to show, since anybody may have written it.
func printable(text string) string {
	const longest = 100
	quoted := strconv.QuoteToASCII(text[:min(len(text), longest)])
	return quoted[1 : len(quoted)-1]
}

func selfSigned(c *x509.Certificate) string {
	if c.Issuer.String() == c.Subject.String() {
		return " (self-signed)"
	}
	return ""
}
