package dnstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
)

// Types of TLS records (RFC 8446 §5.1).
const (
	RecordAlert     = 21
	RecordHandshake = 22
	RecordData      = 23
)

// Records writes single records to a client, also those that crypto/tls never writes:
// endless session tickets, empty records, requests to renegotiate. Its methods are not
// safe for concurrent use. After the first record, the connection's own Write must not
// be used any more.
type Records struct {
	nc      net.Conn
	version uint16
	aead    cipher.AEAD
	iv      []byte
	secret  []byte // of the server's traffic, TLS 1.3
	seq     uint64
}

// noted keeps what the server writes first, and the secrets, from which [Records]
// derives the keys.
type noted struct {
	net.Conn
	mu      sync.Mutex // guards what follows
	written []byte
	secrets bytes.Buffer
}

func (n *noted) Write(p []byte) (int, error) {
	n.mu.Lock()
	const enough = 100 // for the random octets of the ServerHello
	if len(n.written) < enough {
		n.written = append(n.written, p[:min(len(p), enough)]...)
	}
	n.mu.Unlock()
	return n.Conn.Write(p)
}

// keyLog implements io.Writer for tls.Config.KeyLogWriter.
type keyLog struct{ *noted }

func (k keyLog) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.secrets.Write(p)
}

// secret returns the second field of the line with a label, and the first one.
func (n *noted) secret(label string) (random, secret []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(n.secrets.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == label {
			random, _ = hex.DecodeString(f[1])
			secret, _ = hex.DecodeString(f[2])
		}
	}
	return random, secret
}

// ServeRecords shakes hands with a client on nc. There are no session tickets but those
// that the caller writes.
func ServeRecords(nc net.Conn, config *tls.Config) (*tls.Conn, *Records, error) {
	n := &noted{Conn: nc}
	config = config.Clone()
	config.KeyLogWriter = keyLog{n}
	config.SessionTicketsDisabled = true
	config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	conn := tls.Server(n, config)
	if err := conn.Handshake(); err != nil {
		return nil, nil, err
	}
	r, err := newRecords(n, conn.ConnectionState())
	return conn, r, err
}

var errSuite = errors.New("only AES-128-GCM is supported")

// newRecords returns the writer for a connection with which the handshake is over.
func newRecords(n *noted, state tls.ConnectionState) (*Records, error) {
	r := &Records{nc: n.Conn, version: state.Version}
	if state.Version == tls.VersionTLS13 {
		if state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
			return nil, errSuite
		}
		_, r.secret = n.secret("SERVER_TRAFFIC_SECRET_0")
		return r, r.derive()
	}
	if state.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 || len(n.written) < 43 {
		return nil, errSuite
	}
	client, master := n.secret("CLIENT_RANDOM")
	server := n.written[5+4+2:][:32] // of the ServerHello, after its headers and version
	block := prf12(master, slices.Concat([]byte("key expansion"), server, client), 40)
	r.iv, r.seq = block[36:40], 1 // Finished was 0
	return r, r.key(block[16:32])
}

// prf12 is the pseudorandom function of TLS 1.2 (RFC 5246 §5).
func prf12(secret, seed []byte, n int) (out []byte) {
	sum := func(data []byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write(data)
		return h.Sum(nil)
	}
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(slices.Concat(a, seed))...)
	}
	return out[:n]
}

func (r *Records) key(key []byte) error {
	block, err := aes.NewCipher(key)
	if err == nil {
		r.aead, err = cipher.NewGCM(block)
	}
	return err
}

// expand is HKDF-Expand-Label of RFC 8446 §7.1, without context.
func (r *Records) expand(label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "...), label...)
	out, err := hkdf.Expand(sha256.New, r.secret, string(append(info, 0)), n)
	if err != nil {
		panic(err)
	}
	return out
}

// derive makes the keys of the secret.
func (r *Records) derive() error {
	r.iv, r.seq = r.expand("iv", 12), 0
	return r.key(r.expand("key", 16))
}

// Write writes one record.
func (r *Records) Write(kind byte, data []byte) error {
	var nonce, header, body []byte
	if r.version == tls.VersionTLS13 {
		nonce = slices.Clone(r.iv)
		for i := range 8 {
			nonce[4+i] ^= byte(r.seq >> (56 - 8*i))
		}
		data = append(slices.Clone(data), kind)
		header = []byte{RecordData, 3, 3}
		header = binary.BigEndian.AppendUint16(header, uint16(len(data)+r.aead.Overhead()))
		body = r.aead.Seal(nil, nonce, data, header)
	} else {
		explicit := binary.BigEndian.AppendUint64(nil, r.seq)
		nonce = slices.Concat(r.iv, explicit)
		extra := append(slices.Clone(explicit), kind, 3, 3)
		extra = binary.BigEndian.AppendUint16(extra, uint16(len(data)))
		body = slices.Concat(explicit, r.aead.Seal(nil, nonce, data, extra))
		header = binary.BigEndian.AppendUint16([]byte{kind, 3, 3}, uint16(len(body)))
	}
	r.seq++
	if _, err := r.nc.Write(slices.Concat(header, body)); err != nil {
		return fmt.Errorf("record %d: %w", r.seq, err)
	}
	return nil
}

// Message writes one DNS message with its length.
func (r *Records) Message(msg []byte) error {
	return r.Write(RecordData, append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
}

// Ticket writes a session ticket with n octets (RFC 8446 §4.6.1).
func (r *Records) Ticket(n int) error {
	body := []byte{0, 0, 0xff, 0xff, 1, 2, 3, 4, 1, 0} // lifetime, age_add, nonce
	body = append(binary.BigEndian.AppendUint16(body, uint16(n)), make([]byte, n)...)
	body = append(body, 0, 0) // no extensions
	header := []byte{4, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}
	return r.Write(RecordHandshake, append(header, body...))
}

// KeyUpdate changes the keys, and has the client change its keys if both is true
// (RFC 8446 §4.6.3).
func (r *Records) KeyUpdate(both bool) error {
	msg := []byte{24, 0, 0, 1, 0}
	if both {
		msg[4] = 1
	}
	if err := r.Write(RecordHandshake, msg); err != nil {
		return err
	}
	r.secret = r.expand("traffic upd", len(r.secret))
	return r.derive()
}

// HelloRequest asks for another handshake (RFC 5246 §7.4.1.1).
func (r *Records) HelloRequest() error { return r.Write(RecordHandshake, make([]byte, 4)) }

// Alert writes an alert.
func (r *Records) Alert(level, description byte) error {
	return r.Write(RecordAlert, []byte{level, description})
}
