package trust

import (
	"bytes"
	"crypto/x509"
	"errors"
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
		write(first) // with another time
		if s.Current() != good {
			t.Error("the same content, written anew, is a change")
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

// TestPairReplaced: a certificate and its key are replaced one after the other, in either order.
// Until both are there, the previous pair stays in use. The files have the same size and time.
func TestPairReplaced(t *testing.T) {
	ca := dnstest.NewCA(t, "ca")
	dir, other := t.TempDir(), t.TempDir()
	cert, key := dnstest.WritePair(t, dir, ca.Leaf(t, dnstest.Leaf{}))
	newCert, newKey := dnstest.WritePair(t, other, ca.Leaf(t, dnstest.Leaf{}))
	for _, path := range []string{cert, key, newCert, newKey} {
		if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, err := Open(Files{Cert: cert, Key: key}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		swap := func(a, b string) {
			t.Helper()
			if err := errors.Join(os.Rename(a, a+".old"), os.Rename(b, a), os.Rename(a+".old", b)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * lookEvery)
		}
		for _, order := range [][2][2]string{{{cert, newCert}, {key, newKey}}, {{key, newKey}, {cert, newCert}}} {
			before := s.Current()
			swap(order[0][0], order[0][1])
			for range 3 {
				if s.Current() != before {
					t.Error("a certificate without its key is used")
				}
				time.Sleep(2 * lookEvery)
			}
			swap(order[1][0], order[1][1])
			after := s.Current()
			if after == before || bytes.Equal(after.Certificate.Certificate[0], before.Certificate.Certificate[0]) {
				t.Error("the new pair is not used")
			}
		}
		if n := strings.Count(log.String(), "keeping the previous"); n != 2 {
			t.Errorf("%d lines: %s", n, log.String())
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
