package panics

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
)

func fail(l *Log, logger *slog.Logger, packet []byte) {
	defer func() {
		l.Error("recovered", logger, recover(), packet, slog.String("client", "192.0.2.1"))
	}()
	panic("a fault of ours")
}

// TestError: every panic counts; one in ten seconds is logged, with everything needed to
// find it and without the whole of a long message.
func TestError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, nil))
		var l Log
		for range 3 {
			fail(&l, logger, bytes.Repeat([]byte{0xab}, 65535))
		}
		if text := out.String(); strings.Count(text, "\n") != 1 || l.Count() != 3 {
			t.Errorf("%d panics, log:\n%s", l.Count(), text)
		}
		for _, want := range []string{"level=ERROR", `error="a fault of ours"`, "packet=abab", "client=192.0.2.1", "panics_test.go"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, out.String())
			}
		}
		if out.Len() > 2*maxPacket+maxStack+2000 {
			t.Errorf("a line of %d octets", out.Len())
		}
		out.Reset()
		time.Sleep(lograte.Every)
		fail(&l, logger, nil)
		if text := out.String(); !strings.Contains(text, "suppressed=2") || strings.Contains(text, "packet") {
			t.Errorf("log after a pause:\n%s", text)
		}
	})
}
