// Package trust reads the certificates for connections to TLS servers from files,
// and again when they change. Use [Open], which reports what is wrong with them,
// and [Source.Current] before each handshake.
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
	// CA are the certification authorities; none means the system's roots, or
	// those built in where the system has none.
	CA []string
	// Cert and Key are the client's certificate chain and its key, both or
	// neither.
	Cert, Key string
}

// Empty reports whether there are no files.
func (f Files) Empty() bool { return len(f.CA) == 0 && f.Cert == "" && f.Key == "" }

// Source has the content of files. It is safe for concurrent use.
type Source struct {
	files  Files
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	current *upstream.Trust
	stamp   []stamp
	looked  time.Time
	failed  string // what was last logged, "" if the last reading succeeded
}

// stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// lookEvery is how long files are not looked at again.
const lookEvery = time.Second

// maxFile bounds a file.
const maxFile = 4 << 20

// Open reads the files. Later failures to read them go to logger, once each; the
// last good content then stays.
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

// embedded makes crypto/x509 use the built-in roots where the system has none, as in an
// image from scratch. Reading them takes 5 ms and 0.7 MB, which only TLS is worth.
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

// Current returns what the files hold: the same pointer as before unless they
// have changed. It is called before a handshake.
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

// addRoots adds all certificates of a file. One that cannot be read is an error:
// a file cut off in the middle must not count.
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
