// The pki command writes the files by which a one-node cluster's programs trust each
// other: a certificate authority, certificates, kubeconfig files, and the key that signs
// ServiceAccount tokens. They are valid for the life of the cluster.
//
//	pki DIR NODE-ADDRESS SERVICE-ADDRESS
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: pki DIR NODE-ADDRESS [API-SERVER-ADDRESS...]")
		os.Exit(2)
	}
	var addrs []netip.Addr
	for _, arg := range os.Args[2:] {
		addr, err := netip.ParseAddr(arg)
		if err != nil {
			fmt.Fprintln(os.Stderr, "pki: invalid address:", err)
			os.Exit(2)
		}
		addrs = append(addrs, addr)
	}
	if err := write(os.Args[1], addrs); err != nil {
		fmt.Fprintln(os.Stderr, "pki:", err)
		os.Exit(1)
	}
}

// pair is a certificate and its key.
type pair struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	certPEM []byte
	keyPEM  []byte
}

// clients are the programs that speak to the API server, with the user and
// group that its authorizers know them by.
var clients = map[string]pkix.Name{
	"admin":                   {CommonName: "admin", Organization: []string{"system:masters"}},
	"kube-controller-manager": {CommonName: "system:kube-controller-manager"},
	"kube-scheduler":          {CommonName: "system:kube-scheduler"},
	"kube-proxy":              {CommonName: "system:kube-proxy"},
	"kubelet":                 {CommonName: "system:node:node", Organization: []string{"system:nodes"}},
}

// write fills dir. addrs are the addresses of the API server; clients use the
// first one.
func write(dir string, addrs []netip.Addr) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := issue(nil, pkix.Name{CommonName: "kube-dns test cluster"}, nil, nil)
	if err != nil {
		return err
	}
	if err := ca.save(dir, "ca"); err != nil {
		return err
	}
	server, err := issue(ca, pkix.Name{CommonName: "kube-apiserver"},
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		append(ipsOf(addrs), net.IPv4(127, 0, 0, 1)))
	if err != nil {
		return err
	}
	if err := server.save(dir, "apiserver"); err != nil {
		return err
	}
	signer, err := issue(ca, pkix.Name{CommonName: "service accounts"}, nil, nil)
	if err != nil {
		return err
	}
	if err := signer.save(dir, "sa"); err != nil {
		return err
	}
	for name, subject := range clients {
		c, err := issue(ca, subject, nil, nil)
		if err != nil {
			return err
		}
		if err := c.save(dir, name); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".kubeconfig"), kubeconfig(ca, c, addrs[0]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func ipsOf(addrs []netip.Addr) []net.IP {
	ips := make([]net.IP, len(addrs))
	for i, addr := range addrs {
		ips[i] = addr.AsSlice()
	}
	return ips
}

// issue makes a certificate signed by ca, or by itself where ca is nil.
func issue(ca *pair, subject pkix.Name, names []string, ips []net.IP) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject, DNSNames: names, IPAddresses: ips,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if ca == nil {
		template.IsCA, template.KeyUsage = true, template.KeyUsage|x509.KeyUsageCertSign
	} else {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &pair{
		cert: cert, key: key,
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}),
	}, nil
}

func (p *pair) save(dir, name string) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), p.certPEM, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), p.keyPEM, 0o600)
}

func kubeconfig(ca, client *pair, node netip.Addr) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: cluster
clusters:
  - name: cluster
    cluster: {server: "https://%s", certificate-authority-data: %s}
users:
  - name: user
    user: {client-certificate-data: %s, client-key-data: %s}
contexts:
  - name: cluster
    context: {cluster: cluster, user: user}
`, net.JoinHostPort(node.String(), "6443"), b64(ca.certPEM), b64(client.certPEM), b64(client.keyPEM))
}
