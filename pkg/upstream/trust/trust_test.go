package trust

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestChanges is B21: the content follows the files, and a bad file changes
// nothing but is reported once.
func TestChanges(t *testing.T) {
	first, second := dnstest.NewCA(t, "first").PEM(), dnstest.NewCA(t, "second").PEM()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ca.pem")
		write := func(data []byte) {
			t.Helper()
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * lookEvery)
		}
		write(first)
		var log bytes.Buffer
		s, err := Open(Files{CA: []string{path}}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		good := s.Current()
		time.Sleep(2 * lookEvery)
		if s.Current() != good || good.Roots == nil {
			t.Fatal("the content changed without the file")
		}
		write(second[:len(second)-40])
		for range 3 {
			if s.Current() != good {
				t.Fatal("a file cut off is taken")
			}
			time.Sleep(2 * lookEvery)
		}
		if n := strings.Count(log.String(), "keeping the previous"); n != 1 {
			t.Errorf("%d lines: %s", n, log.String())
		}
		write(append(second, first...))
		if next := s.Current(); next == good || next.Roots.Equal(good.Roots) {
			t.Error("the new content is not used")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookEvery)
		if next := s.Current(); next == nil || next.Roots == nil {
			t.Error("nothing is trusted once the file is gone")
		}
	})
}

// TestOpen: files with which the program must not start.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	ca := dnstest.NewCA(t, "ca")
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("ca.pem", ca.PEM())
	cert, key := dnstest.WritePair(t, dir, ca.Leaf(t, dnstest.Leaf{}))
	other := write("other.key", []byte("x"))
	for _, f := range []Files{
		{CA: []string{good, filepath.Join(dir, "missing")}},
		{CA: []string{write("empty", nil)}},
		{CA: []string{dir}},
		{CA: []string{key}},
		{Cert: cert},
		{Key: key},
		{Cert: cert, Key: other},
		{Cert: key, Key: cert},
	} {
		if _, err := Open(f, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
	s, err := Open(Files{CA: []string{good}, Cert: cert, Key: key}, nil)
	if err != nil || s.Current().Certificate == nil || s.Current().Roots == nil {
		t.Errorf("%v", err)
	}
	if s, err := Open(Files{}, nil); err != nil || s.Current().Roots != nil {
		t.Errorf("no files: %v", err)
	}
}

// TestEmbeddedRoots is B22: without any file of the system, as in our images, there
// are authorities to trust.
func TestEmbeddedRoots(t *testing.T) {
	if os.Getenv("TRUST_TEST") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEmbeddedRoots$")
		cmd.Env = append(os.Environ(), "TRUST_TEST=1", "SSL_CERT_FILE=/nowhere", "SSL_CERT_DIR=/nowhere")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	if pool, err := x509.SystemCertPool(); err != nil || !pool.Equal(x509.NewCertPool()) {
		t.Errorf("before the first handshake: %v", err)
	}
	source, err := Open(Files{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	source.Current()
	source.Current()
	pool, err := x509.SystemCertPool()
	if err != nil || pool.Equal(x509.NewCertPool()) {
		t.Errorf("nobody is trusted: %v", err)
	}
}
