// Package answerlog logs answered queries, one line for each, while that is switched on:
// who asked what, the outcome, where the answer came from, and how long it took.
//
// Make a [Log] with [New], ask [Log.On] on the packet path, and give it what was answered
// by [Log.Answer]. While it is off, a query costs one load of a pointer. Nothing on the
// packet path waits for the log: lines that it cannot take in time are counted and left
// out, as are those above the rate.
package answerlog

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// maxPending is how many lines may wait for a slow log.
const maxPending = 1024

// Entry is one answered query.
type Entry struct {
	Client      netip.AddrPort // the client's address
	Stream      bool           // over TCP
	Name        []byte         // as asked, in wire form; invalid or empty if it could not be read
	Type, Class uint16         // of the question
	Rcode       int            // response code of the answer
	Source      string         // where the answer came from, as in the metrics
	Took        time.Duration  // time from the query to the answer
}

// Settings select the answers to log. The zero value selects all of them, until Stop.
type Settings struct {
	// Suffix selects the names in this zone; "" selects all names.
	Suffix dnsname.Name
	// Client selects the clients in this network; if it is not valid, all clients.
	Client netip.Prefix
	// Rate is the largest number of lines per second; 0 means no limit.
	Rate int
	// For is how long to log; 0 means until Stop.
	For time.Duration
}

// Log is a switch for the lines. All methods may be called from any goroutine, and on
// nil, which is always off.
type Log struct {
	logger *slog.Logger
	active atomic.Pointer[session] // nil while it is off
	change sync.Mutex              // one change at a time
}

// session is the logging that one Start began. Only the fields below mu change.
type session struct {
	Settings                  // what is logged
	ends     time.Time        // zero without an end
	lines    chan slog.Record // the lines to write
	quit     chan struct{}    // closed when the session ends
	expires  *time.Timer      // nil without an end

	mu         sync.Mutex // protects the fields below
	second     int64      // Unix time that left counts for
	left       int        // lines that may still be logged in it
	suppressed uint64     // lines left out since the last one
}

// New returns a log that is off and writes to logger's handler. Lines have the level
// debug, and are written whatever the handler's level is.
func New(logger *slog.Logger) *Log { return &Log{logger: logger} }

// On reports whether answers are logged.
func (l *Log) On() bool { return l != nil && l.active.Load() != nil }

// Start switches the log on, or changes what it logs.
func (l *Log) Start(s Settings) {
	l.change.Lock()
	defer l.change.Unlock()
	next := &session{Settings: s, lines: make(chan slog.Record, maxPending), quit: make(chan struct{})}
	if s.For > 0 {
		next.ends = time.Now().Add(s.For)
		next.expires = time.AfterFunc(s.For, func() { l.end(next, "its time is over") })
	}
	go l.write(next)
	l.close(l.active.Swap(next))
	l.logger.Info("logging answers", "settings", s.String())
}

// Stop switches the log off.
func (l *Log) Stop() { l.end(l.active.Load(), "it was switched off") }

// end ends a session, if it has not been ended or replaced.
func (l *Log) end(s *session, why string) {
	l.change.Lock()
	defer l.change.Unlock()
	if s != nil && l.active.CompareAndSwap(s, nil) {
		l.close(s)
		l.logger.Info("no longer logging answers", "reason", why)
	}
}

// close releases what a session holds. A nil session holds nothing.
func (l *Log) close(s *session) {
	if s == nil {
		return
	}
	close(s.quit)
	if s.expires != nil {
		s.expires.Stop()
	}
}

// write writes the session's lines until it ends.
func (l *Log) write(s *session) {
	handler := l.logger.Handler()
	for {
		select {
		case record := <-s.lines:
			//nolint:forbidigo // the handler ignores the context
			_ = handler.Handle(context.Background(), record) // there is nowhere to report it
		case <-s.quit:
			return
		}
	}
}

// Answer logs an answered query if the settings select it. It does not keep e.
func (l *Log) Answer(e *Entry) {
	s := l.active.Load()
	if s == nil || !s.chooses(e) {
		return
	}
	now := time.Now()
	suppressed, ok := s.admit(now)
	if !ok {
		return
	}
	record := slog.NewRecord(now, slog.LevelDebug, "query answered", 0)
	protocol, name := "udp", ""
	if e.Stream {
		protocol = "tcp"
	}
	if dnsname.Valid(e.Name) {
		name = dnsname.Name(e.Name).String()
	}
	record.Add("name", name, "type", wire.TypeText(e.Type), "class", wire.ClassText(e.Class), "client", e.Client.String(),
		"protocol", protocol, "rcode", wire.RcodeText(e.Rcode), "source", e.Source, "duration", e.Took)
	if suppressed > 0 {
		record.Add("suppressed", suppressed)
	}
	select {
	case s.lines <- record:
	default:
		s.suppress(suppressed + 1)
	}
}

// chooses reports whether the settings select an answer.
func (s *session) chooses(e *Entry) bool {
	if s.Client.IsValid() && !s.Client.Contains(e.Client.Addr().Unmap()) {
		return false
	}
	if s.Suffix == "" {
		return true
	}
	var buf [wire.MaxName]byte
	if !dnsname.Valid(e.Name) {
		return false
	}
	_, inside := dnsname.CutZone(dnsname.AppendLower(buf[:0], e.Name), s.Suffix)
	return inside
}

// admit reports whether one more line may be logged in this second, and how many were
// left out since the last one.
func (s *session) admit(now time.Time) (suppressed uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.second, s.left = second, s.Rate
	}
	if s.Rate > 0 && s.left <= 0 {
		s.suppressed++
		return 0, false
	}
	s.left--
	suppressed, s.suppressed = s.suppressed, 0
	return suppressed, true
}

// suppress counts n lines that were not logged.
func (s *session) suppress(n uint64) {
	s.mu.Lock()
	s.suppressed += n
	s.mu.Unlock()
}
