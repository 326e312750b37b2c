package dnsconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadDir(t *testing.T) {
	write := func(t *testing.T, dir, name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	tests := []struct {
		name        string
		files       map[string]string
		wantVersion string
		wantData    map[string]string
	}{
		{"empty", nil, "", map[string]string{}},
		{"only a folder and a dotfile", map[string]string{"sub/file": "x", ".dot": "y"}, "", map[string]string{}},
		{
			"two files",
			map[string]string{"file2": "data2", "file1": "data1"},
			hash("file1\x00data1\x00file2\x00data2\x00"),
			map[string]string{"file1": "data1", "file2": "data2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range tt.files {
				write(t, dir, name, content)
			}
			version, data, err := ReadDir(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			if version != tt.wantVersion {
				t.Errorf("version %q, want %q", version, tt.wantVersion)
			}
			if diff := cmp.Diff(tt.wantData, data); diff != "" {
				t.Errorf("data: -want +got:\n%s", diff)
			}
		})
	}

	t.Run("missing", func(t *testing.T) {
		if _, _, err := ReadDir(os.DirFS(filepath.Join(t.TempDir(), "none"))); err == nil {
			t.Error("a missing directory gave no error")
		}
	})
	t.Run("not UTF-8", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "stubDomains", "\xc0")
		if _, _, err := ReadDir(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "stubDomains") {
			t.Errorf("error %v does not name the file", err)
		}
	})
	t.Run("configmap volume", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "..2026_11_21/federations", "a=b")
		for link, target := range map[string]string{"..data": "..2026_11_21", "federations": "..data/federations"} {
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
		_, data, err := ReadDir(os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"federations": "a=b"}, data); diff != "" {
			t.Errorf("data: -want +got:\n%s", diff)
		}
	})
}

func TestTrackerKeepsLastGood(t *testing.T) {
	var tracker Tracker
	steps := []struct {
		name, version, federations string
		wantChanged, wantErr       bool
		want                       string
	}{
		{"first", "1", "a=one", true, false, "one"},
		{"same version", "1", "a=ignored", false, false, "one"},
		{"bad", "2", "a", false, true, "one"},
		{"bad again, not looked at", "2", "a", false, false, "one"},
		{"fixed", "3", "a=three", true, false, "three"},
		{"back to the first", "1", "a=one", true, false, "one"},
	}
	for _, s := range steps {
		changed, err := tracker.Offer(s.version, map[string]string{KeyFederations: s.federations})
		if changed != s.wantChanged || (err != nil) != s.wantErr {
			t.Errorf("%s: Offer = %v, %v; want %v, error %v", s.name, changed, err, s.wantChanged, s.wantErr)
		}
		if got := tracker.Current().Federations["a"]; got != s.want {
			t.Errorf("%s: current a=%q, want %q", s.name, got, s.want)
		}
	}
}

func TestPoller(t *testing.T) {
	dir := t.TempDir()
	var applied []string
	var results []bool
	var log bytes.Buffer
	p := &Poller{
		FS: os.DirFS(dir), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Apply:  func(c Config) { applied = append(applied, c.Federations["a"]) },
		Result: func(err error) { results = append(results, err == nil) },
	}
	p.Load()
	for _, text := range []string{"a=one", "a=one", "a", "a", "a=\xc0", "a=\xc0", "a=two"} {
		if err := os.WriteFile(filepath.Join(dir, KeyFederations), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p.Load()
		p.Load()
	}
	if diff := cmp.Diff([]string{"", "one", "two"}, applied); diff != "" {
		t.Errorf("applied: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true, true, false, false, true}, results); diff != "" {
		t.Errorf("results: -want +got:\n%s", diff)
	}
	for text, want := range map[string]int{"configuration rejected": 1, "cannot read the configuration": 1, "configuration accepted": 3} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%q logged %d times, want %d:\n%s", text, got, want, log.String())
		}
	}
}

// When a directory can be read again, its content counts as before, though it is the same.
func TestPollerReadsAgain(t *testing.T) {
	dir := t.TempDir()
	var results []bool
	p := &Poller{
		FS: os.DirFS(dir), Logger: slog.New(slog.DiscardHandler), Apply: func(Config) {},
		Result: func(err error) { results = append(results, err == nil) },
	}
	for _, text := range []string{"a=one", "a=\xc0", "a=one", "a", "a=\xc0", "a", "a=one", "a=\xc0", "a=\xc0", "a=two"} {
		if err := os.WriteFile(filepath.Join(dir, KeyFederations), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Load()
		p.Load()
	}
	if diff := cmp.Diff([]bool{true, false, true, false, false, false, true, false, true}, results); diff != "" {
		t.Errorf("results: -want +got:\n%s", diff)
	}
}
