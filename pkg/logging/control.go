package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Path is where programs serve a [Control].
const Path = "/log"

// Queries is a log of queries that can be switched on.
type Queries interface {
	fmt.Stringer // the state, as "key=value" words
	// Parameters are the names that Change reads.
	Parameters() []string
	// Change does what a request's parameters say, for the time d, or for a time of its
	// own if d is 0. An error says what is wrong with them; then nothing has changed.
	Change(parameters url.Values, d time.Duration) error
}

// Control is an HTTP handler that shows (GET) and changes (POST) what a running program
// logs. The parameters are in the URL: "level" is debug, info, warn or error, and "for"
// for how long, such as 10m; the rest belongs to Queries.
//
// Anyone who can reach the port could fill the disk with log lines, and could have the
// queries of all clients logged. So only requests from the loopback interface are
// answered: they come from the Pod's own containers, or through `kubectl port-forward`,
// for which the API server checks access. Requests that a web page makes a browser send
// are refused as well.
type Control struct {
	level   slog.LevelVar
	normal  slog.Level
	logger  *slog.Logger
	queries Queries // nil if there is no such log

	mu    sync.Mutex
	timer *time.Timer // brings the level back to normal; nil if nothing will
	until time.Time   // when
}

// NewControl returns a Control whose level is the given one. Call Use before it serves.
func NewControl(level slog.Level) *Control {
	c := &Control{normal: level}
	c.level.Set(level)
	return c
}

// Level is the level that the program's handlers are to use.
func (c *Control) Level() slog.Leveler { return &c.level }

// Use sets the program's logger, which is told of changes, and its log of queries, which
// may be nil.
func (c *Control) Use(logger *slog.Logger, queries Queries) { c.logger, c.queries = logger, queries }

// ServeHTTP implements [http.Handler].
func (c *Control) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	reply := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text + "\n")) // a client that went away needs no answer
	}
	if err := FromHere(req); err != nil {
		reply(http.StatusForbidden, err.Error())
		return
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		if req.URL.RawQuery != "" { // someone who expects a change must not believe in it
			reply(http.StatusBadRequest, "GET has no parameters, and changes nothing; use POST")
			return
		}
	case http.MethodPost:
		if err := c.change(req.URL.RawQuery); err != nil {
			reply(http.StatusBadRequest, err.Error())
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		reply(http.StatusMethodNotAllowed, "GET shows what is logged, POST changes it")
		return
	}
	reply(http.StatusOK, c.String())
}

// FromHere reports why a request is not one of this Pod's own, from the loopback interface and
// by a program: nil if it is.
func FromHere(req *http.Request) error {
	peer, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return errors.New("only for requests from this Pod's loopback interface: use kubectl port-forward")
	}
	// A page in the browser of someone who forwards the port could send a request here.
	// Browsers name the page's origin then; and by a name of its own that leads here
	// (DNS rebinding) it would be the Host.
	if req.Header.Get("Origin") != "" || !slices.Contains([]string{"", "none", "same-origin"}, req.Header.Get("Sec-Fetch-Site")) {
		return errors.New("not for requests from web pages")
	}
	host := req.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if host != "localhost" && (err != nil || !addr.Unmap().IsLoopback()) {
		return fmt.Errorf("only for the host localhost, not for %q", host)
	}
	return nil
}

// change applies the parameters of a request, all or none of them. The exception is a
// valid level beside invalid parameters of Queries: the level is applied.
func (c *Control) change(rawQuery string) error {
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return fmt.Errorf("cannot read the parameters: %w", err)
	}
	known := []string{"level", "for"}
	if c.queries != nil {
		known = append(known, c.queries.Parameters()...)
	}
	others := false
	for key, values := range q {
		if !slices.Contains(known, key) {
			return fmt.Errorf("%s: no such parameter; there are %s", key, strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return fmt.Errorf("%s is given %d times", key, len(values))
		}
		others = others || key != "level" && key != "for"
	}
	if !q.Has("level") && !others {
		return fmt.Errorf("nothing to change; the parameters are %s", strings.Join(known, ", "))
	}
	var d time.Duration
	if q.Has("for") {
		if d, err = time.ParseDuration(q.Get("for")); err != nil || d <= 0 {
			return fmt.Errorf("for=%q: want a time such as 10m or 1h30m", q.Get("for"))
		}
	}
	level := c.level.Level()
	if q.Has("level") {
		if level, err = parseLevel(q.Get("level")); err != nil {
			return err
		}
	}
	if others {
		if err := c.queries.Change(q, d); err != nil {
			return err
		}
	}
	if q.Has("level") {
		c.setLevel(level, d)
	}
	return nil
}

// setLevel changes the level, for the time d, or until the next change if d is 0.
func (c *Control) setLevel(level slog.Level, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer, c.until = nil, time.Time{}
	}
	c.level.Set(level)
	c.say("log level changed", level)
	if d == 0 {
		return
	}
	c.until = time.Now().Add(d)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timer != timer {
			return // another change came
		}
		c.timer, c.until = nil, time.Time{}
		c.level.Set(c.normal)
		c.say("log level is as on the command line again", c.normal)
	})
	c.timer = timer
}

// say logs a change, regardless of the current level.
func (c *Control) say(message string, level slog.Level) {
	if c.logger != nil {
		record := slog.NewRecord(time.Now(), slog.LevelInfo, message, 0)
		record.Add("log_level", levelText(level))
		//nolint:forbidigo // the handler ignores the context
		_ = c.logger.Handler().Handle(context.Background(), record) // there is nowhere to report it
	}
}

// String describes what is logged now.
func (c *Control) String() string {
	c.mu.Lock()
	text := "level=" + levelText(c.level.Level())
	if c.timer != nil {
		text += " for=" + max(time.Until(c.until).Round(time.Second), time.Second).String()
	}
	c.mu.Unlock()
	if c.queries != nil {
		text += "\n" + c.queries.String()
	}
	return text
}
