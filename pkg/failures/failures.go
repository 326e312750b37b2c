// Package failures keeps the newest failures of a program in memory, for a page that operators
// look at: answers with SERVFAIL or REFUSED, and log messages at the levels WARN and ERROR.
//
// Use [New] to make a [Log]. Call [Log.Answer] for each failed answer that [Log.Admit] admits, and
// wrap the handler of the program's logger with [Log.Handler]. Use [Log.Answers] and
// [Log.Messages] to read the failures.
//
// Memory and time are limited, whatever clients do: each list has [Slots] entries, equal failures
// share one entry, and at most [PerSecond] failed answers a second are recorded.
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
	// PerSecond is the largest number of failed answers that are recorded in one second.
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
	// Source says what answered, in the words of the metrics, and Reason why it failed. Both
	// are "" if that is not known.
	Source, Reason string
	// Client is the address of the client; "" if it is not known.
	Client string
}

// Message is a message in the log of the program.
type Message struct {
	// Level is WARN or ERROR.
	Level string
	// Text is the message with its keys and values.
	Text string
}

// Entry is one kind of failure. Equal failures share an entry.
type Entry[T any] struct {
	// What is the newest of these failures.
	What T
	// Count is the number of these failures. First and Last are the times of the first and the
	// last one.
	Count       uint64
	First, Last time.Time
}

// Log holds the newest failures. All methods are safe for concurrent use. A nil *Log records
// nothing and has no failures.
type Log struct {
	// second is the Unix time, in seconds, to which admitted belongs.
	second atomic.Int64
	// admitted is the number of failed answers in that second.
	admitted atomic.Int64
	// omitted is the number of failed answers that Admit did not admit.
	omitted atomic.Uint64

	answers  list[Answer]
	messages list[Message]
}

// New returns a log without failures.
func New() *Log { return &Log{} }

// Admit reports whether a failed answer may be passed to [Log.Answer] now. Call it before
// making the description: it is cheap, so a flood of failures costs no more than its answers
// do.
func (l *Log) Admit() bool {
	if l == nil {
		return false
	}
	now := time.Now().Unix()
	if before := l.second.Load(); before != now && l.second.CompareAndSwap(before, now) {
		l.admitted.Store(0)
	}
	// Compare first: in a flood, processors then only read the shared counter.
	if l.admitted.Load() >= PerSecond || l.admitted.Add(1) > PerSecond {
		l.omitted.Add(1)
		return false
	}
	return true
}

// Answer records a failed answer. Call it only after [Log.Admit] has returned true. The log
// does not keep a; long texts are shortened.
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

// Answers returns the failed answers, newest first, and the number of failed answers that were
// not recorded. The caller owns the result.
func (l *Log) Answers() (entries []Entry[Answer], omitted uint64) {
	if l == nil {
		return nil, 0
	}
	entries = l.answers.snapshot()
	return entries, l.omitted.Load()
}

// Messages returns the log messages, newest first. The caller owns the result.
func (l *Log) Messages() []Entry[Message] {
	if l == nil {
		return nil
	}
	return l.messages.snapshot()
}

// list is a list of at most Slots entries, one for each key.
type list[T any] struct {
	mu    sync.Mutex
	slots []slot[T] // at most Slots
}

type slot[T any] struct {
	key   string
	entry Entry[T]
}

// record counts a failure in the entry with the key, or adds that entry. If the list is full,
// the entry that has not been seen for the longest time is removed.
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

// snapshot returns the entries, newest first.
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

// cut returns text if it has at most limit octets. Otherwise, it returns its beginning, without
// splitting a character, and "…". That is a copy, so that it does not keep the longer text in
// memory.
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
