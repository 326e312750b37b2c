package dnsconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/test/testkit"
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
}

// A volume changes all the time, in the kubelet's steps. What is read is always one version.
func TestReadDirOfVolume(t *testing.T) {
	dir := t.TempDir()
	v := testkit.Volume{Dir: dir}
	v.Set(t, map[string]string{"federations": "a=0", "stubDomains": "0"})
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			data := map[string]string{"federations": fmt.Sprintf("a=%d", i), "stubDomains": strconv.Itoa(i)}
			if i%3 == 0 { // a key gets another name
				data = map[string]string{"federations": fmt.Sprintf("a=%d", i), "stubdomains": strconv.Itoa(i)}
			}
			v.Set(t, data)
			time.Sleep(time.Duration(i%5) * 50 * time.Microsecond)
		}
	})
	read := map[string]bool{}
	for range 2000 {
		version, data, err := ReadDir(os.DirFS(dir))
		if errors.Is(err, errChanges) {
			continue
		}
		n, _ := strings.CutPrefix(data["federations"], "a=")
		if other := data["stubDomains"] + data["stubdomains"]; err != nil || n != other || len(data) != 2 {
			t.Errorf("read %v of two versions, error %v", data, err)
			break
		}
		read[version] = true
	}
	close(end)
	wg.Wait()
	if len(read) < 2 {
		t.Errorf("%d versions were read", len(read))
	}
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

// A file that cannot be that of a ConfigMap is an error, and is not read.
func TestReadDirRefusesHugeFiles(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int64{"a": maxFile, "b": maxFile + 1, "c": 1 << 40} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	_, data, err := ReadDir(os.DirFS(dir))
	if err == nil || !strings.Contains(err.Error(), `configuration file "b" has 4194305 octets`) || len(data) != 1 || len(data["a"]) != maxFile {
		t.Errorf("%d files, %v", len(data), err)
	}
}
