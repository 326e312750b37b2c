package kubefiles

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/test/testkit"
)

func fifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever is at the path, Open ends. A pipe is read, if anybody writes to it.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	fifo(t, at("silent"))
	for _, folder := range []string{"pipe", "device"} {
		if err := os.Mkdir(at(folder), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(at(folder), "a.yaml"), service("a", "10.0.0.1"))
	}
	fifo(t, filepath.Join(at("pipe"), "b.yaml"))
	if err := os.Symlink("/dev/zero", filepath.Join(at("device"), "b.yaml")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		at("silent"): "nobody writes to it", "/dev/zero": "neither a file", os.DevNull: "neither a file",
		at("pipe"): "b.yaml: a named pipe, and nobody writes to it", at("device"): "b.yaml: neither a file",
	} {
		if _, err := Open(Config{Path: path, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}

	fifo(t, at("written"))
	writer, err := os.OpenFile(at("written"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(writer, service("a", "10.0.0.1")+strings.Repeat("#\n", 100_000)) // more than a pipe holds
		writer.Close()
	}()
	s, err := Open(Config{Path: at("written"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, s.Services()); !cmp.Equal(got, []string{"default/a@1"}) {
		t.Errorf("%v", got)
	}
}

// A file that becomes a pipe takes away no objects, and does not block Run.
func TestFileBecomesPipe(t *testing.T) {
	s, path := started(t, service("a", "10.0.0.1"))
	more := filepath.Join(filepath.Dir(path), "y.yaml")
	write(t, more, service("b", "10.0.0.2"))
	loaded := func() bool { return cmp.Equal([]string{"default/a@1", "default/b@2"}, list(t, s.Services())) }
	testkit.Eventually(t, "both files", loaded)
	pipe := filepath.Join(filepath.Dir(path), ".pipe")
	fifo(t, pipe)
	if err := os.Rename(pipe, more); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "an error", func() bool {
		err := s.currentProblem()
		return err != nil && strings.Contains(err.Error(), "y.yaml: a named pipe")
	})
	if !loaded() {
		t.Errorf("the objects are %v", list(t, s.Services()))
	}
}

// The slices that are made of Endpoints take the place of no slice in the files, whatever the names
// of these are.
func TestEndpointsHideNoSlice(t *testing.T) {
	const endpoints = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets: [{addresses: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}]\n"
	path := filepath.Join(t.TempDir(), "x.yaml")
	names := func(content string) []string {
		write(t, path, content)
		s, err := Open(Config{Path: path, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return list(t, s.Slices())
	}
	made := names(endpoints)
	content := endpoints
	for _, name := range made { // valid names that are as similar as possible
		name = strings.TrimSuffix(strings.TrimPrefix(strings.ReplaceAll(name, ":", "-"), "default/"), "@1")
		content += "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + name +
			", labels: {kubernetes.io/service-name: other}}\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.2]}]\n"
	}
	if got := names(content); len(made) != 2 || len(got) != 2*len(made) {
		t.Errorf("%v, and with other slices %v", made, got)
	}
}
