// Package linelog writes dnscache's log, as lines in the form of dnsmasq or as JSON objects, to
// standard error or to a file.
//
// Use [Open] to get a [Log], [Log.Printf] for messages in dnsmasq's wording, and [Log.Logger] to
// get a logger for all other messages. While [Log.Run] runs, a slow log never delays an answer.
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

	"github.com/kube-dns/kube-dns/pkg/internal/wake"
	"github.com/kube-dns/kube-dns/pkg/logging"
)

// maxPendingLog is the number of octets that may wait to be written. Beyond it, lines about
// queries are dropped.
const maxPendingLog = 1 << 20

// Log writes lines in the form of dnsmasq. Its methods are safe for concurrent use. While Run
// runs, it writes the lines, so that a slow log never delays an answer; otherwise, each line is
// written at once.
type Log struct {
	// Path is the path of the log file; "" means standard error.
	Path string

	prefix string           // "dnscache[PID]: "
	now    func() time.Time // the clock
	json   bool             // write JSON objects, without prefix and without the time that a file gets
	level  slog.Leveler     // lowest level of lines that are not about queries; nil means all

	mu      sync.Mutex    // protects the fields up to wake
	pending []byte        // the lines to write
	lost    int           // number of lines dropped since the last line that was kept
	async   bool          // whether Run runs
	wake    chan struct{} // tells Run that there are lines; has a capacity of one

	writing sync.Mutex // protects the fields below; locked before mu
	out     io.Writer  // where lines go
	file    *os.File   // the file of Path, if out is that file
	spare   []byte     // the buffer that pending gets while lines are written
}

// Open returns the log of --log-facility. If path is empty, it writes to stderr. Lines in a
// file begin with the time, as in dnsmasq. The caller must call Close.
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

// Reopen opens the log file again (SIGUSR2), so that the old file can be renamed. If that
// fails, the log continues with the old file.
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

// Chown makes the user uid the owner of the log file. The owner of a device or a named pipe
// does not change.
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

// lastWrite is how long Close waits for a named pipe that no process reads.
const lastWrite = time.Second

// Close writes the lines that are waiting, and closes the file.
func (l *Log) Close() {
	if l.file != nil {
		_ = l.file.SetWriteDeadline(time.Now().Add(lastWrite)) // fails for a regular file, which has no deadlines
	}
	l.Flush()
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file, l.out = nil, io.Discard
	}
}

// Printf logs one line.
func (l *Log) Printf(format string, args ...any) {
	l.Line(fmt.Sprintf(format, args...), false)
}

// Line logs one line, which may begin with a level, such as "warning: ". If droppable is true,
// it is about a query: it may be lost if the log is too slow, and the level does not matter.
func (l *Log) Line(text string, droppable bool) {
	if level, _ := logging.SplitLevel(text); !droppable && l.level != nil && level < l.level.Level() {
		return
	}
	l.queue(func() { l.append(text, droppable) }, droppable)
}

// Write implements [io.Writer] for a handler that writes JSON. line must be a whole line; the
// log does not keep it.
func (l *Log) Write(line []byte) (int, error) {
	debug := bytes.Contains(line, []byte(`"level":"DEBUG"`))
	l.queue(func() { l.pending = append(l.pending, line...) }, debug)
	return len(line), nil
}

// queue calls add, which appends a line to pending, while it holds l.mu.
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
	wake.Up(l.wake)
}

// append appends a line to pending. In JSON, its level is DEBUG if debug is true; otherwise,
// its first word tells the level. l.mu must be held.
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

// Flush writes the lines that are waiting.
func (l *Log) Flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	lines := l.pending
	l.pending = l.spare[:0]
	l.mu.Unlock()
	if len(lines) > 0 {
		_, _ = l.out.Write(lines) // an error cannot be reported anywhere
	}
	l.spare = lines[:0]
}

// Run writes lines until ctx ends, and then those that are still waiting. Later lines are
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

// Logger returns a logger for messages that are not in dnsmasq's wording, and a control that
// changes the level of the whole log. format is logging.Text or logging.JSON. Call it before
// anything is logged.
func (l *Log) Logger(level slog.Level, format string) (*slog.Logger, *logging.Control) {
	control := logging.NewControl(level)
	l.level, l.json = control.Level(), format == logging.JSON
	if l.json {
		return logging.New(l, logging.JSON, control.Level()), control
	}
	return slog.New(NewHandler(l, control.Level())), control
}

// NewHandler returns a handler that writes records to l if their level is at least level.
func NewHandler(l *Log, level slog.Leveler) *Handler { return &Handler{log: l, level: level} }

// Handler is a [slog.Handler] that writes each record as one line: the message, then "
// key=value" for each attribute.
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

// appendAttr appends " key=value". Values that would be hard to read or could look like another
// line are quoted. The attribute "suppressed" is left out if it is 0.
func appendAttr(b *strings.Builder, group string, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) || a.Key == "suppressed" && value.String() == "0" {
		return // no messages were suppressed
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

// ErrorText returns the system's text for err, with a capital letter at the beginning, as the C
// library writes it.
func ErrorText(err error) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
