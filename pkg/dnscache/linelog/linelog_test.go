package linelog

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// testLog returns a log and a function that returns what has been written to it, without the
// prefix.
func testLog(t *testing.T) (*Log, func() string) {
	t.Helper()
	var out testkit.Buffer
	l, err := Open("", &out)
	if err != nil {
		t.Fatal(err)
	}
	return l, func() string {
		l.Flush()
		return strings.ReplaceAll(out.String(), l.prefix, "")
	}
}

func TestLogToStandardError(t *testing.T) {
	var out testkit.Buffer
	l, err := Open("", &out)
	if err != nil {
		t.Fatal(err)
	}
	l.Printf("started, version %s", "x")
	if got, want := out.String(), fmt.Sprintf("dnscache[%d]: started, version x\n", os.Getpid()); got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

func TestLogToFileAndReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := Open(path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	l.now = func() time.Time { return time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC) }
	l.Printf("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Printf("two")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Printf("three")
	l.Close()
	for name, want := range map[string]string{
		path + ".1": `^Nov  2 03:04:05 dnscache\[\d+\]: one\nNov  2 03:04:05 dnscache\[\d+\]: two\n$`,
		path:        `^Nov  2 03:04:05 dnscache\[\d+\]: three\n$`,
	} {
		got, err := os.ReadFile(name)
		if err != nil || !regexp.MustCompile(want).Match(got) {
			t.Errorf("%s holds %q, %v; want %s", name, got, err, want)
		}
	}
	if _, err := Open(filepath.Join(path, "below a file"), io.Discard); err == nil {
		t.Error("a log that cannot be opened is no error")
	}
}

// stuckWriter blocks until it is released.
type stuckWriter struct {
	release chan struct{}
	out     testkit.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.release
	return w.out.Write(p)
}

func TestSlowLogHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{release: make(chan struct{})}
		l, err := Open("", w)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { l.Run(ctx) })
		synctest.Wait()
		l.Printf("first")
		synctest.Wait() // the writer now blocks while it writes the line
		line := strings.Repeat("q", 1<<10)
		for range 2 << 10 {
			l.Line(line, true)
		}
		l.Printf("kept")
		close(w.release)
		synctest.Wait()
		l.Printf("last")
		cancel()
		done.Wait()
		got := w.out.String()
		if n := strings.Count(got, line); n < 900 || n > 1<<10 {
			t.Errorf("%d lines of 1 KiB were kept, want about 1 MiB of them", n)
		}
		if !strings.Contains(got, "kept\n") || !regexp.MustCompile(`overflow: \d+ log entries lost\n.*last\n$`).MatchString(got) {
			t.Errorf("the end is %q", got[len(got)-200:])
		}
	})
}

func TestSlogLines(t *testing.T) {
	l, text := testLog(t)
	logger := slog.New(NewHandler(l, slog.LevelInfo))
	logger.Debug("hidden")
	logger.Info("plain", "server", "1.2.3.4:53", "count", 3)
	logger.With("a", "x y").WithGroup("g").Warn("quoted", "b", "line\nbreak", "c", "")
	logger.Error("broken", slog.Group("d", "e", 1))
	logger.Warn("full", "suppressed", 7)
	logger.Warn("full", "suppressed", 0)
	want := `plain server=1.2.3.4:53 count=3
warning: quoted a="x y" g.b="line\nbreak" g.c=""
error: broken d.e=1
warning: full suppressed=7
warning: full
`
	if got := text(); got != want {
		t.Errorf("wrote\n%s\nwant\n%s", got, want)
	}
}
