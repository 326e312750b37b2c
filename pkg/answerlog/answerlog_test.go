package answerlog

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// buffer is what a log wrote.
type buffer struct{ testkit.Buffer }

// lines returns the lines about answers so far, without their time.
func (b *buffer) lines() (all []string) {
	for line := range strings.Lines(b.String()) {
		if _, rest, ok := strings.Cut(line, `msg="query answered" `); ok {
			all = append(all, strings.TrimSpace(rest))
		}
	}
	return all
}

func newLog() (*Log, *buffer) {
	b := new(buffer)
	return New(slog.New(slog.NewTextHandler(b, nil))), b
}

func entry(name string) *Entry {
	wire := []byte(dnsname.MustParse(name))
	return &Entry{
		Client: netip.MustParseAddrPort("10.1.2.3:4000"), Name: wire, Type: 28, Class: 1, Rcode: 3, Source: "cluster", Took: 42 * time.Microsecond,
	}
}

// One line has all that is to be known, and comes whatever the handler's level is.
func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out := newLog()
		l.Answer(entry("before.example"))
		l.Start(Settings{})
		e := entry("nosuch.default.svc.cluster.local")
		l.Answer(e)
		e.Name, e.Stream, e.Type, e.Class, e.Rcode, e.Source = []byte{7}, true, 4711, 3, 1, "error"
		l.Answer(e)
		e.Name = []byte("\x05a\" \n=\x00")
		l.Answer(e)
		synctest.Wait()
		l.Stop()
		l.Answer(entry("after.example"))
		synctest.Wait()
		got := out.lines()
		want := []string{
			"name=nosuch.default.svc.cluster.local. type=AAAA class=IN client=10.1.2.3:4000 protocol=udp rcode=NXDOMAIN source=cluster duration=42µs",
			`name="" type=TYPE4711 class=CH client=10.1.2.3:4000 protocol=tcp rcode=FORMERR source=error duration=42µs`,
		}
		if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || strings.Contains(got[2], "\n") {
			t.Errorf("%q, want %q and one with an odd name", got, want)
		}
	})
}

func TestFilters(t *testing.T) {
	for parameters, want := range map[string]int{
		"queries=on": 1, "queries=on&name=cluster.local": 1, "queries=on&name=SVC.cluster.LOCAL.": 1, "queries=on&name=.": 1,
		"queries=on&name=web.default.svc.cluster.local": 1, "queries=on&name=b.default.svc.cluster.local": 0, "queries=on&name=example.com": 0,
		"queries=on&client=10.1.2.3": 1, "queries=on&client=10.1.2.0/24": 1, "queries=on&client=10.1.3.0/24": 0, "queries=on&client=::ffff:10.1.2.3": 1,
		"queries=on&client=2001:db8::1": 0, "queries=on&client=10.1.2.3&name=example.com": 0, "queries=on&rate=1&for=1m": 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			l, out := newLog()
			q, err := url.ParseQuery(parameters)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Change(q, 0); err != nil {
				t.Fatal(err)
			}
			l.Answer(entry("Web.default.svc.cluster.local"))
			synctest.Wait()
			if got := len(out.lines()); got != want {
				t.Errorf("%s: %d lines, want %d", parameters, got, want)
			}
			l.Stop()
		})
	}
}

// Wrong parameters change nothing; the error names each.
func TestWrongParameters(t *testing.T) {
	l, _ := newLog()
	for parameters, want := range map[string]string{
		"name=a":                             "need queries=on",
		"queries=yes":                        `queries="yes": want on or off`,
		"queries=on&name=a..b":               "name=",
		"queries=on&client=web":              `client="web"`,
		"queries=on&client=10.0.0.0/33":      "client=",
		"queries=on&rate=0":                  "rate=",
		"queries=on&rate=-5":                 "rate=",
		"queries=on&rate=1e9":                "rate=",
		"queries=off&name=a":                 "no meaning",
		"queries=on&rate=x&client=y&name=..": "client=",
	} {
		q, err := url.ParseQuery(parameters)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Change(q, 0); err == nil || !strings.Contains(err.Error(), want) || l.On() {
			t.Errorf("%s: %v, want %q", parameters, err, want)
		}
	}
	if err := l.Change(url.Values{"queries": {"on"}}, 25*time.Hour); err == nil || l.On() {
		t.Errorf("25 hours: %v", err)
	}
}

// No second has more lines than the rate, and the next line says how many were left out.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out := newLog()
		l.Start(Settings{Rate: 3})
		defer l.Stop()
		for range 2 {
			for range 10 {
				l.Answer(entry("web.example"))
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		got := out.lines()
		if len(got) != 6 || !strings.Contains(got[3], "suppressed=7") || strings.Contains(got[4], "suppressed") {
			t.Errorf("%q, want 6 lines, the fourth with 7 suppressed", got)
		}
	})
}

// A session ends by itself, and says so; Parse's default is 10 minutes.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out := newLog()
		if err := l.Change(url.Values{"queries": {"on"}, "name": {"example"}}, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute)
		if got := l.String(); got != "queries=on name=example. rate=100 for=6m0s" {
			t.Errorf("after 4 minutes: %s", got)
		}
		l.Start(Settings{For: time.Minute}) // replaces the first
		time.Sleep(time.Minute + time.Second)
		if l.On() || l.String() != "queries=off" || !strings.Contains(out.String(), "its time is over") {
			t.Errorf("still on: %s, %s", l, out)
		}
		time.Sleep(time.Hour)
		if n := strings.Count(out.String(), "no longer logging answers"); n != 1 {
			t.Errorf("ended %d times", n)
		}
	})
}

// blocked never takes a line.
type blocked struct{ release chan struct{} }

func (b blocked) Write(p []byte) (int, error) { <-b.release; return len(p), nil }

// A log that takes nothing holds up no answer.
func TestSlowLog(t *testing.T) {
	b := blocked{make(chan struct{})}
	l := New(slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelError})))
	l.Start(Settings{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10 * maxPending {
			l.Answer(entry("web.example"))
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("an answer waits for the log")
	}
	close(b.release)
	l.Stop()
}

// nil is off, and asking costs nothing.
func TestOff(t *testing.T) {
	var none *Log
	l, _ := newLog()
	if none.On() || l.On() {
		t.Error("on")
	}
	if n := testing.AllocsPerRun(100, func() { _ = l.On() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleSettings_String() {
	s := Settings{Suffix: dnsname.MustParse("svc.cluster.local"), Client: netip.MustParsePrefix("10.1.0.0/16"), Rate: 50, For: time.Minute}
	fmt.Println(s.String())
	// Output: queries=on name=svc.cluster.local. client=10.1.0.0/16 rate=50 for=1m0s
}
