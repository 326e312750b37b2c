package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

// secureName is the name of the certificate of [secureUpstream].
const secureName = "dns.example.net"

// secureUpstream is upstream over TLS, with an authority of its own.
type secureUpstream struct {
	addr     netip.AddrPort
	ca       string // file
	dir      string
	listener net.Listener
	done     sync.WaitGroup

	mu   sync.Mutex // guards what follows
	open map[net.Conn]bool
}

func newSecureUpstream() (*secureUpstream, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: secureName}, DNSNames: []string{secureName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	s := &secureUpstream{open: map[net.Conn]bool{}}
	if s.dir, err = os.MkdirTemp("", "bench-tls"); err != nil {
		return nil, err
	}
	s.ca = filepath.Join(s.dir, "ca.pem")
	if err := os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return nil, err
	}
	s.listener, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		return nil, err
	}
	s.addr = netip.MustParseAddrPort(s.listener.Addr().String())
	s.done.Go(s.accept)
	return s, nil
}

func (s *secureUpstream) close() {
	s.listener.Close()
	s.mu.Lock()
	for nc := range s.open {
		nc.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
	os.RemoveAll(s.dir)
}

func (s *secureUpstream) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[nc] = true
		s.mu.Unlock()
		s.done.Go(func() {
			serveFrames(nc, upstream{ttl: 3600})
			nc.Close()
			s.mu.Lock()
			delete(s.open, nc)
			s.mu.Unlock()
		})
	}
}

// serveFrames answers the messages of a connection, as many at once as have come.
func serveFrames(nc net.Conn, h listener.Handler) {
	in, out, reply := make([]byte, 0, 64<<10), make([]byte, 0, 64<<10), make([]byte, 0, 512)
	for {
		n, err := nc.Read(in[len(in):cap(in)])
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return
		}
		in, out = in[:len(in)+n], out[:0]
		rest := in
		for len(rest) >= 2 && len(rest)-2 >= int(binary.BigEndian.Uint16(rest)) {
			length := int(binary.BigEndian.Uint16(rest))
			reply = h.Handle(rest[2:2+length], listener.ReplyTo{}, reply[:0])
			out = append(binary.BigEndian.AppendUint16(out, uint16(len(reply))), reply...)
			rest = rest[2+length:]
		}
		if _, err := nc.Write(out); err != nil {
			return
		}
		in = in[:copy(in, rest)]
	}
}

// over returns p asking the server over TLS in place of that in clear text.
func (p peer) over(s *secureUpstream) peer {
	plain := p.argv
	p.argv = func(dir string, addr netip.AddrPort) ([]string, error) {
		argv, err := plain(dir, addr)
		if err != nil || argv == nil {
			return argv, err
		}
		switch p.name {
		case "unbound":
			return argv, replaceIn(filepath.Join(dir, "unbound.conf"), "  forward-addr: ", fmt.Sprintf(
				"  forward-tls-upstream: yes\n  forward-addr: 127.0.0.1@%d#%s", s.addr.Port(), secureName),
				"  module-config:", fmt.Sprintf("  module-config: \"iterator\"\n  tls-cert-bundle: %q", s.ca))
		case "CoreDNS":
			return argv, replaceIn(filepath.Join(dir, "Corefile"), "\tforward . ", fmt.Sprintf(
				"\tforward . tls://%v {\n\t\ttls %s\n\t\ttls_servername %s\n\t}", s.addr, s.ca, secureName))
		}
		argv = slices.DeleteFunc(argv, func(arg string) bool { return strings.HasPrefix(arg, "--server=") })
		return append(argv, "--tls-ca-file="+s.ca, fmt.Sprintf("--server=tls:127.0.0.1#%d,name=%s", s.addr.Port(), secureName)), nil
	}
	return p
}

// replaceIn replaces lines of a file: pairs of a line's beginning and a new line.
func replaceIn(path string, pairs ...string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		for j := 0; j < len(pairs); j += 2 {
			if strings.HasPrefix(line, pairs[j]) {
				lines[i] = pairs[j+1]
			}
		}
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600)
}
