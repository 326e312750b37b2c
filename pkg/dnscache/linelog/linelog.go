// Package linelog writes dnscache's log: lines in dnsmasq's form or JSON objects, to
// standard error or a file.
//
// Use [Open], then [Log.Logger] for what is not in dnsmasq's words, and let [Log.Run] run so
// that a slow log never holds up an answer.
package linelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/logging"
)

// maxPendingLog is how many bytes of lines may wait for a slow log before
// lines of queries are dropped.
const maxPendingLog = 1 << 20

// Log writes lines in dnsmasq's form. Its methods may be called from any
// goroutine. While Run runs, lines are written by it, so that a slow log never
// holds up an answer; otherwise at once.
type Log struct {
	// Path is that of the file, "" for standard error.
	Path string

	prefix string           // "dnscache[PID]: "
	now    func() time.Time // the clock
	json   bool             // lines are JSON objects; prefix and Path add nothing to them
	level  slog.Leveler     // of lines that are not about queries; nil lets all through

	mu      sync.Mutex    // guards the following
	pending []byte        // lines to write
	lost    int           // lines dropped since the last one that was not
	async   bool          // whether Run runs
	wake    chan struct{} // tells Run of lines; holds one token

	writing sync.Mutex // guards the following; taken before mu
	out     io.Writer  // where lines go
	file    *os.File   // out, if that is the file of Path
	spare   []byte     // the buffer that pending swaps with
}

// Open returns the log of --log-facility. Lines in a file begin with the
// time, as dnsmasq's do.
func Open(path string, stderr io.Writer) (*Log, error) {
	l := &Log{
		prefix: fmt.Sprintf("dnscache[%d]: ", os.Getpid()),
		Path:   path,
		now:    time.Now,
		wake:   make(chan struct{}, 1),
		out:    stderr,
	}
	if path == "" {
		return l, nil
	}
	return l, l.Reopen()
}

// Reopen opens the log file again (SIGUSR2), after it was renamed. If that fails, the old
// file stays in use.
func (l *Log) Reopen() error {
	if l.Path == "" {
		return nil
	}
	mode := os.O_WRONLY
	if info, err := os.Stat(l.Path); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		mode = os.O_RDWR // does not wait for a reader (fifo(7))
	}
	file, err := os.OpenFile(l.Path, mode|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.out = file, file
	return nil
}

// Chown makes a user the owner of the log file. A device or a named pipe keeps
// its owner.
func (l *Log) Chown(uid int) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file == nil {
		return nil
	}
	info, err := l.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	return l.file.Chown(uid, -1)
}

// lastWrite bounds how long Close waits for a named pipe that nobody reads.
const lastWrite = time.Second

// Close writes what is pending and closes the file.
func (l *Log) Close() {
	if l.file != nil {
		_ = l.file.SetWriteDeadline(time.Now().Add(lastWrite)) // a regular file has none
	}
	l.Flush()
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file, l.out = nil, io.Discard
	}
}

// Printf writes one line.
func (l *Log) Printf(format string, args ...any) {
	l.Line(fmt.Sprintf(format, args...), false)
}

// Line queues one line. droppable lines are lost when the log is too slow.
func (l *Log) Line(text string, droppable bool) {
	if level, _ := logging.SplitLevel(text); !droppable && l.level != nil && level < l.level.Level() {
		return
	}
	l.queue(func() { l.append(text, droppable) }, droppable)
}

// Write queues a whole line in JSON, for a handler.
func (l *Log) Write(line []byte) (int, error) {
	debug := bytes.Contains(line, []byte(`"level":"DEBUG"`))
	l.queue(func() { l.pending = append(l.pending, line...) }, debug)
	return len(line), nil
}

// queue calls add, with l.mu held, to append a line to pending.
func (l *Log) queue(add func(), droppable bool) {
	l.mu.Lock()
	if droppable && len(l.pending) > maxPendingLog {
		l.lost++
		l.mu.Unlock()
		return
	}
	if l.lost > 0 && len(l.pending) == 0 {
		l.append("overflow: "+strconv.Itoa(l.lost)+" log entries lost", false)
		l.lost = 0
	}
	add()
	async := l.async
	l.mu.Unlock()
	if !async {
		l.Flush()
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// append adds a line to pending, whose level in JSON is debug or what its first word
// says; l.mu is held.
func (l *Log) append(text string, debug bool) {
	if l.json {
		level, text := logging.SplitLevel(text)
		if debug {
			level = slog.LevelDebug
		}
		l.pending = logging.AppendJSON(l.pending, l.now(), level, text)
		return
	}
	if l.Path != "" {
		l.pending = l.now().AppendFormat(l.pending, "Jan _2 15:04:05 ")
	}
	l.pending = append(l.pending, l.prefix...)
	l.pending = append(l.pending, text...)
	l.pending = append(l.pending, '\n')
}

// Flush writes what is pending.
func (l *Log) Flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	lines := l.pending
	l.pending = l.spare[:0]
	l.mu.Unlock()
	if len(lines) > 0 {
		_, _ = l.out.Write(lines) // there is nowhere to report it
	}
	l.spare = lines[:0]
}

// Run writes lines until ctx ends, then what is left. Lines after that are
// written at once.
func (l *Log) Run(ctx context.Context) {
	l.setAsync(true)
	defer l.Flush()
	defer l.setAsync(false)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			l.Flush()
		}
	}
}

func (l *Log) setAsync(async bool) {
	l.mu.Lock()
	l.async = async
	l.mu.Unlock()
}

// Logger returns the logger for everything that is not in dnsmasq's words, and what changes
// the level of the whole log. The log must not be in use yet.
func (l *Log) Logger(level slog.Level, format string) (*slog.Logger, *logging.Control) {
	control := logging.NewControl(level)
	l.level, l.json = control.Level(), format == logging.JSON
	if l.json {
		return logging.New(l, logging.JSON, control.Level()), control
	}
	return slog.New(NewHandler(l, control.Level())), control
}

// NewHandler returns a handler that writes records of a level or above to a log.
func NewHandler(l *Log, level slog.Leveler) *Handler { return &Handler{log: l, level: level} }

// Handler writes slog records as lines: message, then key=value.
type Handler struct {
	log   *Log
	level slog.Leveler
	attrs string
	group string
}

var _ slog.Handler = (*Handler)(nil)

// Enabled implements [slog.Handler].
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// Handle implements [slog.Handler].
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	if r.Level >= slog.LevelError {
		b.WriteString("error: ")
	} else if r.Level >= slog.LevelWarn {
		b.WriteString("warning: ")
	}
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, h.group, a)
		return true
	})
	h.log.Line(b.String(), r.Level < slog.LevelInfo)
	return nil
}

// WithAttrs implements [slog.Handler].
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		appendAttr(&b, h.group, a)
	}
	with := *h
	with.attrs = b.String()
	return &with
}

// WithGroup implements [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.group += name + "."
	return &with
}

// appendAttr writes " key=value". Values that would be hard to read or could
// forge a line are quoted; "suppressed" is written only if something was.
func appendAttr(b *strings.Builder, group string, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) || a.Key == "suppressed" && value.String() == "0" {
		return // nothing was left out
	}
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, member := range value.Group() {
			appendAttr(b, group, member)
		}
		return
	}
	text := value.String()
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r >= 0x7f }) {
		text = strconv.Quote(text)
	}
	b.WriteString(" " + group + a.Key + "=" + text)
}

// ErrorText is the system's text for an error with a capital letter, as the C library
// writes it.
func ErrorText(err error) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
