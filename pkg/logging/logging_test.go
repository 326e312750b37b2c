package logging

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Both formats have the same keys in the same order, and the same words for times and
// errors.
func TestFormatsHaveTheSameKeys(t *testing.T) {
	var texts [2]strings.Builder
	for i, format := range []string{Text, JSON} {
		New(&texts[i], format, slog.LevelInfo).Warn("server does not answer", "server", "192.0.2.1:53", "duration", 1500*time.Microsecond, "error", errors.New("timeout"))
	}
	keys := func(text, pattern string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		return all
	}
	if a, b := keys(texts[0].String(), `(\w+)=`), keys(texts[1].String(), `"(\w+)":`); !slices.Equal(a, b) || len(a) != 6 {
		t.Errorf("%q and %q", a, b)
	}
	var record map[string]string
	if err := json.Unmarshal([]byte(texts[1].String()), &record); err != nil || record["duration"] != "1.5ms" || record["error"] != "timeout" {
		t.Errorf("%s: %v", &texts[1], err)
	}
	if CheckFormat("xml") == nil || CheckFormat(Text) != nil || CheckFormat(JSON) != nil {
		t.Error("formats")
	}
}

// fakeQueries notes what it is asked for.
type fakeQueries struct{ state string }

func (f *fakeQueries) String() string       { return "queries=" + f.state }
func (f *fakeQueries) Parameters() []string { return []string{"queries"} }

func (f *fakeQueries) Change(q url.Values, _ time.Duration) error {
	if q.Get("queries") == "bad" {
		return errors.New("queries=bad")
	}
	f.state = q.Get("queries")
	return nil
}

// ask sends one request from the loopback interface, unless header says otherwise.
func ask(c *Control, method, target string, header map[string]string) (int, string) {
	req := httptest.NewRequest(method, target, nil)
	req.RemoteAddr, req.Host = "127.0.0.1:40000", "localhost:6060"
	for key, value := range header {
		switch key {
		case "peer":
			req.RemoteAddr = value
		case "host":
			req.Host = value
		default:
			req.Header.Set(key, value)
		}
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, req)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func newControl(level slog.Level) (*Control, *fakeQueries, *strings.Builder) {
	var log strings.Builder
	c, queries := NewControl(level), &fakeQueries{"off"}
	c.Use(New(&log, Text, c.Level()), queries)
	return c, queries, &log
}

// Wrong requests change nothing, and the answer says what is wrong.
func TestControlRefuses(t *testing.T) {
	for _, tt := range []struct {
		method, target string
		header         map[string]string
		status         int
		want           string
	}{
		{"POST", "/log", nil, 400, "nothing to change"},
		{"POST", "/log?for=10m", nil, 400, "nothing to change"},
		{"POST", "/log?level=loud", nil, 400, `level="loud": want debug, info, warn or error`},
		{"POST", "/log?level=", nil, 400, "want debug"},
		{"POST", "/log?level=debug&level=info", nil, 400, "level is given 2 times"},
		{"POST", "/log?level=debug&for=soon", nil, 400, `for="soon": want a time`},
		{"POST", "/log?level=debug&for=-1s", nil, 400, "want a time"},
		{"POST", "/log?level=debug&quiet=1", nil, 400, "quiet: no such parameter; there are level, for, queries"},
		{"POST", "/log?level=debug;a", nil, 400, "cannot read"},
		{"POST", "/log?level=debug&queries=bad", nil, 400, "queries=bad"},
		{"GET", "/log?level=debug", nil, 400, "use POST"},
		{"HEAD", "/log?level=debug", nil, 400, "use POST"},
		{"PUT", "/log?level=debug", nil, 405, "POST changes"},
		{"DELETE", "/log", nil, 405, "POST changes"},
		{"POST", "/log?level=debug", map[string]string{"peer": "10.1.2.3:40000"}, 403, "port-forward"},
		{"GET", "/log", map[string]string{"peer": "[2001:db8::1]:40000"}, 403, "port-forward"},
		{"POST", "/log?level=debug", map[string]string{"peer": "nonsense"}, 403, "port-forward"},
		{"POST", "/log?level=debug", map[string]string{"peer": "10.1.2.3:40000", "X-Forwarded-For": "127.0.0.1"}, 403, "port-forward"},
		{"POST", "/log?level=debug", map[string]string{"Origin": "http://evil.example"}, 403, "web pages"},
		{"POST", "/log?level=debug", map[string]string{"Origin": "null"}, 403, "web pages"},
		{"POST", "/log?level=debug", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, "web pages"},
		{"POST", "/log?level=debug", map[string]string{"host": "evil.example:6060"}, 403, `"evil.example"`},
		{"GET", "/log", map[string]string{"host": "localhost.evil.example"}, 403, "evil"},
		{"GET", "/log", map[string]string{"host": "10.1.2.3:6060"}, 403, "10.1.2.3"},
	} {
		c, queries, log := newControl(slog.LevelInfo)
		status, text := ask(c, tt.method, tt.target, tt.header)
		if status != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("%s %s %v: %d %q, want %d with %q", tt.method, tt.target, tt.header, status, text, tt.status, tt.want)
		}
		if got := c.String(); got != "level=info\nqueries=off" || queries.state != "off" || log.Len() > 0 {
			t.Errorf("%s %s %v changed something: %q, %s", tt.method, tt.target, tt.header, got, log)
		}
	}
}

func TestControlChanges(t *testing.T) {
	for _, header := range []map[string]string{
		nil, {"peer": "[::1]:40000"}, {"peer": "[::ffff:127.0.0.1]:1"}, {"host": "127.0.0.1:6060"}, {"host": "[::1]:6060"}, {"host": "localhost"}, {"Sec-Fetch-Site": "none"},
	} {
		c, _, log := newControl(slog.LevelInfo)
		if status, text := ask(c, "POST", "/log?level=debug&queries=on", header); status != 200 || text != "level=debug\nqueries=on" {
			t.Errorf("%v: %d %q", header, status, text)
		}
		if !strings.Contains(log.String(), `msg="log level changed" log_level=debug`) {
			t.Errorf("%v: the change is not logged: %s", header, log)
		}
	}
}

// A level that was set for a time ends, another change ends it earlier, and a level that
// hides the message about it is logged all the same.
func TestLevelForATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, log := newControl(slog.LevelWarn)
		ask(c, "POST", "/log?level=debug&for=10m", nil)
		time.Sleep(4 * time.Minute)
		if got := c.String(); got != "level=debug for=6m0s\nqueries=off" {
			t.Errorf("after 4 minutes: %q", got)
		}
		time.Sleep(6*time.Minute + time.Second)
		if got := c.String(); got != "level=warn\nqueries=off" || !strings.Contains(log.String(), "log level is as on the command line again") {
			t.Errorf("after 10 minutes: %q, %s", got, log)
		}
		ask(c, "POST", "/log?level=debug&for=10m", nil)
		ask(c, "POST", "/log?level=error", nil)
		time.Sleep(time.Hour)
		if got := c.String(); got != "level=error\nqueries=off" || !strings.Contains(log.String(), "log_level=error") {
			t.Errorf("after another change: %q, %s", got, log)
		}
	})
}
