// Package trust reads the certificates for connections to TLS servers from files, and reads
// them again when they change. Call [Open], which returns an error if the files are not
// valid, and [Source.Current] before each handshake.
package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
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
	files  Files        // the paths
	logger *slog.Logger // receives failures to read them again

	mu      sync.Mutex        // guards what follows
	current *upstream.Trust   // their content
	digest  [sha256.Size]byte // of that content
	stamp   []stamp           // of the files at the last successful reading
	looked  time.Time         // when they were last checked
	failed  string            // what was last logged, "" if the last reading succeeded
}

// stamp identifies a version of a file, also if a file with the same size and time of
// modification takes its place.
type stamp struct {
	modified, changed time.Time
	size              int64
	inode             uint64
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
	data, err := files.read()
	if err != nil {
		return nil, err
	}
	s.digest = digest(data)
	if s.current, err = files.parse(data); err != nil {
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

// Current returns the content of the files: the same pointer as before unless it has
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
	if err := s.again(); err == nil {
		s.failed, s.stamp = "", now
	} else if err.Error() != s.failed {
		s.failed = err.Error()
		s.logger.Error("cannot read the certificate files for TLS servers; keeping the previous certificates", "error", err)
	}
	return s.current
}

// again reads the files once more. If they were written anew with the same content, nothing
// changes, because other certificates end all connections.
func (s *Source) again() error {
	data, err := s.files.read()
	if err != nil {
		return err
	}
	sum := digest(data)
	if sum == s.digest {
		return nil
	}
	next, err := s.files.parse(data)
	if err != nil {
		return err
	}
	s.current, s.digest = next, sum
	s.logger.Info("read the certificate files for TLS servers again")
	return nil
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
			st = stamp{modified: info.ModTime(), size: info.Size()}
			if sys, ok := info.Sys().(*syscall.Stat_t); ok {
				st.inode, st.changed = sys.Ino, time.Unix(sys.Ctim.Unix())
			}
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

// read returns the content of all files, in the order of paths.
func (f Files) read() (data [][]byte, err error) {
	for _, path := range f.paths() {
		content, err := readFile(path)
		if err != nil {
			return nil, err
		}
		data = append(data, content)
	}
	return data, nil
}

func digest(data [][]byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, content := range data {
		each := sha256.Sum256(content)
		_, _ = h.Write(each[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// parse returns the certificates in data, which comes from read.
func (f Files) parse(data [][]byte) (*upstream.Trust, error) {
	t := new(upstream.Trust)
	for i, path := range f.CA {
		if t.Roots == nil {
			t.Roots = x509.NewCertPool()
		}
		if err := addRoots(t.Roots, data[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if f.Cert == "" {
		return t, nil
	}
	pair, err := tls.X509KeyPair(data[len(f.CA)], data[len(f.CA)+1])
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
