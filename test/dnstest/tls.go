package dnstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// CA is a certification authority for tests.
type CA struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

func fatal(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(tb, err)
	return key
}

var serial atomic.Int64

func sign(tb testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	tb.Helper()
	template.SerialNumber = big.NewInt(serial.Add(1))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	fatal(tb, err)
	cert, err := x509.ParseCertificate(der)
	fatal(tb, err)
	return cert
}

// NewCA makes an authority.
func NewCA(tb testing.TB, name string) *CA {
	tb.Helper()
	key := newKey(tb)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return &CA{sign(tb, template, template, key.Public(), key), key}
}

// PEM returns the authority's certificate.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw})
}

// Pool returns a pool that contains only the authority.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// Leaf describes a certificate. The zero value is valid for an hour, for use by servers.
type Leaf struct {
	Names             []string // DNS names and addresses
	CommonName        string
	NotBefore, Expiry time.Duration // from now
	Usage             x509.ExtKeyUsage
	SelfSigned        bool
}

// Leaf makes a certificate.
func (ca *CA) Leaf(tb testing.TB, l Leaf) tls.Certificate {
	tb.Helper()
	if l.Expiry == 0 {
		l.Expiry = time.Hour
	}
	if l.NotBefore == 0 {
		l.NotBefore = -time.Hour
	}
	if l.Usage == 0 {
		l.Usage = x509.ExtKeyUsageServerAuth
	}
	key := newKey(tb)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: l.CommonName}, NotBefore: time.Now().Add(l.NotBefore), NotAfter: time.Now().Add(l.Expiry),
		ExtKeyUsage: []x509.ExtKeyUsage{l.Usage}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, name := range l.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	parent, signer := ca.Cert, ca.key
	if l.SelfSigned {
		parent, signer = template, key
	}
	cert := sign(tb, template, parent, key.Public(), signer)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// Pin returns the digest of a certificate's public key in hexadecimal.
func Pin(c tls.Certificate) string {
	sum := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// WritePair writes a certificate and its key to files of a directory.
func WritePair(tb testing.TB, dir string, c tls.Certificate) (cert, key string) {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	fatal(tb, err)
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	var chain []byte
	for _, raw := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})...)
	}
	fatal(tb, os.WriteFile(cert, chain, 0o600))
	fatal(tb, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return cert, key
}

// TLSPeer is one connection to a [TLSServer].
type TLSPeer struct {
	*tls.Conn
	Number int // from 0
	mu     sync.Mutex
}

// Read1 reads one message. It returns nil at the end of the connection.
func (p *TLSPeer) Read1() []byte { return ReadMessage(p) }

// ReadMessage reads one message with its length prefix. It returns nil at the end.
func ReadMessage(r io.Reader) []byte {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(r, msg); err != nil {
		return nil
	}
	return msg
}

// Write1 writes one message.
func (p *TLSPeer) Write1(msg []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
}

// TLSScript says what a [TLSServer] does. Each field that is set changes one part.
type TLSScript struct {
	// Raw may take over a connection before the handshake, by returning true.
	Raw func(number int, nc net.Conn) bool
	// Serve takes over a connection after the handshake.
	Serve func(p *TLSPeer)
	// Records takes over a connection after the handshake, and writes single records.
	// There are no session tickets but its own.
	Records func(p *TLSPeer, r *Records)
	// Answer answers a question, each on its own goroutine. Nil answers NOERROR.
	Answer Script
}

// TLSServer is a scripted server of DNS over TLS.
type TLSServer struct {
	Addr   netip.AddrPort
	Config atomic.Pointer[tls.Config] // for the next connection
	// Accepted counts TCP connections, Shaken the handshakes that the server completed, and
	// Resumed those of these that resumed a session.
	Accepted, Shaken, Resumed, Questions atomic.Int64

	listener net.Listener
	script   TLSScript
	done     sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]bool
	names []string // SNI
	raw   [][]byte // questions
}

// NewTLSServer starts a server with a configuration on 127.0.0.1.
func NewTLSServer(tb testing.TB, config *tls.Config, script TLSScript) *TLSServer {
	tb.Helper()
	return NewTLSServerAt(tb, "127.0.0.1:0", config, script)
}

// NewTLSServerAt is NewTLSServer for another address.
func NewTLSServerAt(tb testing.TB, addr string, config *tls.Config, script TLSScript) *TLSServer {
	tb.Helper()
	l, err := net.Listen("tcp", addr)
	fatal(tb, err)
	s := &TLSServer{Addr: netip.MustParseAddrPort(l.Addr().String()), listener: l, script: script, open: map[net.Conn]bool{}}
	s.Config.Store(config)
	s.done.Go(s.accept)
	tb.Cleanup(func() {
		l.Close()
		s.Drop()
		s.done.Wait()
	})
	return s
}

func (s *TLSServer) accept() {
	for number := 0; ; number++ {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.Accepted.Add(1)
		s.mu.Lock()
		s.open[nc] = true
		s.mu.Unlock()
		s.done.Go(func() {
			defer func() {
				nc.Close()
				s.mu.Lock()
				delete(s.open, nc)
				s.mu.Unlock()
			}()
			s.serve(number, nc)
		})
	}
}

func (s *TLSServer) serve(number int, nc net.Conn) {
	if s.script.Raw != nil && s.script.Raw(number, nc) {
		return
	}
	p, records := &TLSPeer{Number: number}, (*Records)(nil)
	if s.script.Records != nil {
		var err error
		if p.Conn, records, err = ServeRecords(nc, s.Config.Load()); err != nil {
			return
		}
	} else if p.Conn = tls.Server(nc, s.Config.Load()); p.Handshake() != nil {
		return
	}
	state := p.ConnectionState()
	s.Shaken.Add(1)
	if state.DidResume {
		s.Resumed.Add(1)
	}
	s.mu.Lock()
	s.names = append(s.names, state.ServerName)
	s.mu.Unlock()
	if s.script.Records != nil {
		s.script.Records(p, records)
		return
	}
	if s.script.Serve != nil {
		s.script.Serve(p)
		return
	}
	s.Answers(p)
	p.Close()
}

// Answers answers the questions of a connection as the script says, until it ends.
func (s *TLSServer) Answers(p *TLSPeer) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for msg := p.Read1(); msg != nil; msg = p.Read1() {
		s.Questions.Add(1)
		s.mu.Lock()
		s.raw = append(s.raw, msg)
		s.mu.Unlock()
		q := new(dns.Msg)
		if q.Unpack(msg) != nil {
			return
		}
		wg.Go(func() {
			answer := s.script.Answer
			if answer == nil {
				answer = Zone(dns.RcodeSuccess)
			}
			for _, out := range answer(q, true) {
				p.Write1(out)
			}
		})
	}
}

// Drop closes all connections.
func (s *TLSServer) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.open {
		nc.Close()
	}
}

// DropSlowly closes all connections, with a pause after each.
func (s *TLSServer) DropSlowly(pause time.Duration) {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, nc := range open {
		nc.Close()
		time.Sleep(pause)
	}
}

// Names returns the names that clients sent (SNI), in order.
func (s *TLSServer) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.names...)
}

// Messages returns the questions received, in order.
func (s *TLSServer) Messages() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.raw...)
}

// ServerConfig returns a server's configuration with certificates.
func ServerConfig(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: certs, MinVersion: tls.VersionTLS12}
}
