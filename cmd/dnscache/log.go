package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/logging"
)

// maxPendingLog is how many bytes of lines may wait for a slow log before
// lines of queries are dropped.
const maxPendingLog = 1 << 20

// lineLog writes lines in dnsmasq's form. Its methods may be called from any
// goroutine. While run runs, lines are written by it, so that a slow log never
// holds up an answer; otherwise at once.
type lineLog struct {
	prefix string // "dnscache[PID]: "
	path   string // of the file, "" for standard error
	now    func() time.Time
	json   bool         // lines are JSON objects; prefix and path add nothing to them
	level  slog.Leveler // of lines that are not about queries; nil lets all through

	mu      sync.Mutex // guards the following
	pending []byte
	lost    int
	async   bool
	wake    chan struct{}

	writing sync.Mutex // guards the following; taken before mu
	out     io.Writer
	file    *os.File
	spare   []byte
}

// openLog returns the log of --log-facility. Lines in a file begin with the
// time, as dnsmasq's do.
func openLog(path string, stderr io.Writer) (*lineLog, error) {
	l := &lineLog{
		prefix: fmt.Sprintf("dnscache[%d]: ", os.Getpid()),
		path:   path,
		now:    time.Now,
		wake:   make(chan struct{}, 1),
		out:    stderr,
	}
	if path == "" {
		return l, nil
	}
	return l, l.reopen()
}

// reopen opens the log file anew (SIGUSR2), after it was renamed. When that is
// not possible the old file stays in use.
func (l *lineLog) reopen() error {
	if l.path == "" {
		return nil
	}
	mode := os.O_WRONLY
	if info, err := os.Stat(l.path); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		mode = os.O_RDWR // does not wait for a reader (fifo(7))
	}
	file, err := os.OpenFile(l.path, mode|os.O_APPEND|os.O_CREATE, 0o640)
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

// chown makes a user the owner of the log file. A device or a named pipe keeps
// its owner.
func (l *lineLog) chown(uid int) error {
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

// lastWrite bounds how long close waits for a named pipe that nobody reads.
const lastWrite = time.Second

// close writes what is pending and closes the file.
func (l *lineLog) close() {
	if l.file != nil {
		_ = l.file.SetWriteDeadline(time.Now().Add(lastWrite)) // a regular file has none
	}
	l.flush()
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file, l.out = nil, io.Discard
	}
}

// printf writes one line.
func (l *lineLog) printf(format string, args ...any) {
	l.line(fmt.Sprintf(format, args...), false)
}

// line queues one line. droppable lines are lost when the log is too slow.
func (l *lineLog) line(text string, droppable bool) {
	if level, _ := logging.SplitLevel(text); !droppable && l.level != nil && level < l.level.Level() {
		return
	}
	l.queue(func() { l.append(text, droppable) }, droppable)
}

// Write queues a whole line in JSON, for a handler.
func (l *lineLog) Write(line []byte) (int, error) {
	debug := bytes.Contains(line, []byte(`"level":"DEBUG"`))
	l.queue(func() { l.pending = append(l.pending, line...) }, debug)
	return len(line), nil
}

// queue calls add, with l.mu held, to append a line to pending.
func (l *lineLog) queue(add func(), droppable bool) {
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
		l.flush()
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// append adds a line to pending, whose level in JSON is debug or what its first word
// says; l.mu is held.
func (l *lineLog) append(text string, debug bool) {
	if l.json {
		level, text := logging.SplitLevel(text)
		if debug {
			level = slog.LevelDebug
		}
		l.pending = logging.AppendJSON(l.pending, l.now(), level, text)
		return
	}
	if l.path != "" {
		l.pending = l.now().AppendFormat(l.pending, "Jan _2 15:04:05 ")
	}
	l.pending = append(l.pending, l.prefix...)
	l.pending = append(l.pending, text...)
	l.pending = append(l.pending, '\n')
}

// flush writes what is pending.
func (l *lineLog) flush() {
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

// run writes lines until ctx ends, then what is left. Lines after that are
// written at once.
func (l *lineLog) run(ctx context.Context) {
	l.setAsync(true)
	defer l.flush()
	defer l.setAsync(false)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			l.flush()
		}
	}
}

func (l *lineLog) setAsync(async bool) {
	l.mu.Lock()
	l.async = async
	l.mu.Unlock()
}

// logHandler writes slog records as lines: message, then key=value.
type logHandler struct {
	log   *lineLog
	level slog.Leveler
	attrs string
	group string
}

var _ slog.Handler = (*logHandler)(nil)

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// Handle implements [slog.Handler].
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
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
	h.log.line(b.String(), r.Level < slog.LevelInfo)
	return nil
}

// WithAttrs implements [slog.Handler].
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
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
func (h *logHandler) WithGroup(name string) slog.Handler {
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
