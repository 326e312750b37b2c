// Package failures keeps the newest failures of a program in memory, for a page that
// operators look at: answers with SERVFAIL or REFUSED, and lines of the log at the levels
// WARN and ERROR.
//
// Make a [Log] with [New], give it to what answers, and wrap the handler of the program's
// logger with [Log.Handler]. Memory and time are bounded whatever clients do: each list
// has [Slots] places, equal failures share one, and no more than [PerSecond] answers in a
// second are looked at.
package failures

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	// Slots is the largest number of entries in each of the two lists.
	Slots = 50
	// PerSecond is the largest number of failed answers in a second that are looked at.
	// Further ones are only counted.
	PerSecond = 10
)

// The longest texts that are kept, in octets. A domain name has at most 1004 as text.
const (
	maxName   = 1004
	maxReason = 300
	maxText   = 1000
)

// Answer is a failed answer to a client.
type Answer struct {
	// Name is the owner name, Type the record type and Rcode the response code, as text.
	Name, Type, Rcode string
	// Source says what answered, as in the metrics, and Reason why it failed; "" if that is
	// not known.
	Source, Reason string
	// Client is the client's address, "" if it is not known.
	Client string
}

// Message is a line of the program's log.
type Message struct {
	// Level is WARN or ERROR.
	Level string
	// Text is the message with its keys and values.
	Text string
}

// Entry is one kind of failure. Equal ones share an entry.
type Entry[T any] struct {
	// What is the newest of them.
	What T
	// Count is how many there were, and First and Last when.
	Count       uint64
	First, Last time.Time
}

// Log keeps failures. All methods may be called from any goroutine. The methods of a nil
// *Log do nothing.
type Log struct {
	// second is the Unix time that admitted counts for.
	second atomic.Int64
	// admitted is the number of failed answers in that second.
	admitted atomic.Int64
	// omitted is the number of failed answers that were not looked at.
	omitted atomic.Uint64

	answers  list[Answer]
	messages list[Message]
}

// New returns a log without entries.
func New() *Log { return &Log{} }

// Admit reports whether a failed answer may be described to [Log.Answer] now. It is cheap,
// so that a flood of failures costs no more than its answers do.
func (l *Log) Admit() bool {
	if l == nil {
		return false
	}
	now := time.Now().Unix()
	if before := l.second.Load(); before != now && l.second.CompareAndSwap(before, now) {
		l.admitted.Store(0)
	}
	// The comparison first: a flood shares no counter that it would have to write twice.
	if l.admitted.Load() >= PerSecond || l.admitted.Add(1) > PerSecond {
		l.omitted.Add(1)
		return false
	}
	return true
}

// Answer records a failed answer. Call it after [Log.Admit] has returned true.
func (l *Log) Answer(a *Answer) {
	if l == nil {
		return
	}
	kept := Answer{
		Name: cut(a.Name, maxName), Type: cut(a.Type, maxReason), Rcode: cut(a.Rcode, maxReason),
		Source: cut(a.Source, maxReason), Reason: cut(a.Reason, maxReason), Client: cut(a.Client, maxReason),
	}
	l.answers.record(kept.Rcode+" "+kept.Type+" "+kept.Name, &kept)
}

// Answers returns the failed answers, the newest first, and how many others there were
// that are not in the list.
func (l *Log) Answers() (entries []Entry[Answer], omitted uint64) {
	if l == nil {
		return nil, 0
	}
	entries = l.answers.snapshot()
	return entries, l.omitted.Load()
}

// Messages returns the lines of the log, the newest first.
func (l *Log) Messages() []Entry[Message] {
	if l == nil {
		return nil
	}
	return l.messages.snapshot()
}

// list is a list of entries with a place for each key.
type list[T any] struct {
	mu    sync.Mutex
	slots []slot[T] // at most Slots
}

type slot[T any] struct {
	key   string
	entry Entry[T]
}

// record adds an entry, or counts it in the one with the same key. If the list is full, the
// entry that was not seen for the longest time makes room.
func (l *list[T]) record(key string, what *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	i := slices.IndexFunc(l.slots, func(s slot[T]) bool { return s.key == key })
	switch {
	case i >= 0:
	case len(l.slots) < Slots:
		l.slots = append(l.slots, slot[T]{})
		i = len(l.slots) - 1
	default:
		i = 0
		for j := range l.slots {
			if l.slots[j].entry.Last.Before(l.slots[i].entry.Last) {
				i = j
			}
		}
		l.slots[i] = slot[T]{}
	}
	s := &l.slots[i]
	if s.entry.Count == 0 {
		s.key, s.entry.First = key, now
	}
	s.entry.Count++
	s.entry.What, s.entry.Last = *what, now
}

// snapshot returns the entries, the newest first.
func (l *list[T]) snapshot() []Entry[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := make([]Entry[T], 0, len(l.slots))
	for i := range l.slots {
		entries = append(entries, l.slots[i].entry)
	}
	slices.SortStableFunc(entries, func(a, b Entry[T]) int { return cmp.Compare(b.Last.UnixNano(), a.Last.UnixNano()) })
	return entries
}

// cut returns the beginning of text, at most limit octets and no part of a character. The
// copy keeps no longer text in memory.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	n := limit
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.Clone(text[:n]) + "…"
}
