// Package trust reads the certificates for connections to TLS servers from files, and reads
// them again when they change. Call [Open], which returns an error if the files are not
// valid, and [Source.Current] before each handshake.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Files are the files to read, in PEM.
type Files struct {
	// CA are files with certification authorities. If there are none, the system's roots are
	// used, or the built-in ones where the system has none.
	CA []string
	// Cert and Key are our client certificate chain and its key: both or neither.
	Cert, Key string
}

// Empty reports whether there are no files.
func (f Files) Empty() bool { return len(f.CA) == 0 && f.Cert == "" && f.Key == "" }

// Source holds the content of the files. It is safe for concurrent use.
type Source struct {
	files  Files
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	current *upstream.Trust
	stamp   []stamp
	looked  time.Time
	failed  string // what was last logged, "" if the last reading succeeded
}

// stamp identifies a version of a file.
type stamp struct {
	modified time.Time
	size     int64
}

// lookEvery is the least time between two checks whether the files have changed.
const lookEvery = time.Second

// maxFile bounds the size of a file in octets.
const maxFile = 4 << 20

// Open reads the files, and returns an error if one of them is not valid. Later failures to
// read them are logged to logger, once each, and the last good content stays in use.
func Open(files Files, logger *slog.Logger) (*Source, error) {
	if (files.Cert == "") != (files.Key == "") {
		return nil, errors.New("a client certificate needs both its certificate (--tls-cert-file) and its key (--tls-key-file)")
	}
	s := &Source{files: files, logger: logger, stamp: files.stamps(), looked: time.Now()}
	var err error
	if s.current, err = files.read(); err != nil {
		return nil, err
	}
	return s, nil
}

// embedded makes crypto/x509 use the built-in roots where the system has none, as in an image
// from scratch. Parsing them takes 5 ms and 0.7 MB, so it is done only if TLS is used.
//
//nolint:gochecknoglobals // crypto/x509 has one set for the process, to be set once
var embedded = sync.OnceFunc(func() {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil: // the bundle is newer than this Go
		case root.Constraint != nil:
			pool.AddCertWithConstraint(cert, root.Constraint)
		default:
			pool.AddCert(cert)
		}
	}
	x509.SetFallbackRoots(pool)
})

// Current returns the content of the files: the same pointer as before unless they have
// changed. Call it before each handshake. The caller must not change the result.
func (s *Source) Current() *upstream.Trust {
	if len(s.files.CA) == 0 {
		embedded()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files.Empty() || time.Since(s.looked) < lookEvery {
		return s.current
	}
	s.looked = time.Now()
	now := s.files.stamps()
	if slices.Equal(now, s.stamp) && s.failed == "" {
		return s.current
	}
	next, err := s.files.read()
	switch {
	case err == nil:
		s.current, s.failed, s.stamp = next, "", now
		s.logger.Info("read the certificate files for TLS servers again")
	case err.Error() != s.failed:
		s.failed = err.Error()
		s.logger.Error("cannot read the certificate files for TLS servers; keeping the previous certificates", "error", err)
	}
	return s.current
}

func (f Files) paths() []string {
	paths := slices.Clone(f.CA)
	if f.Cert != "" {
		paths = append(paths, f.Cert, f.Key)
	}
	return paths
}

func (f Files) stamps() []stamp {
	var list []stamp
	for _, path := range f.paths() {
		var st stamp
		if info, err := os.Stat(path); err == nil {
			st = stamp{info.ModTime(), info.Size()}
		}
		list = append(list, st)
	}
	return list
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is larger than %d octets", path, maxFile)
	}
	return os.ReadFile(path)
}

func (f Files) read() (*upstream.Trust, error) {
	t := new(upstream.Trust)
	for _, path := range f.CA {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		if t.Roots == nil {
			t.Roots = x509.NewCertPool()
		}
		if err := addRoots(t.Roots, data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if f.Cert == "" {
		return t, nil
	}
	cert, err := readFile(f.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readFile(f.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", f.Cert, f.Key, err)
	}
	t.Certificate = &pair
	return t, nil
}

// addRoots adds all certificates of a file. It returns an error if one of them cannot be
// parsed, so that a truncated file is not accepted.
func addRoots(pool *x509.CertPool, data []byte) error {
	n := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("certificate %d: %w", n+1, err)
		}
		pool.AddCert(c)
		n++
	}
	if n == 0 {
		return errors.New("no certificate in PEM")
	}
	return nil
}
