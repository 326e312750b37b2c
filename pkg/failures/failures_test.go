package failures

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func answer(name string) *Answer {
	return &Answer{Name: name, Type: "A", Rcode: "SERVFAIL", Source: "upstream", Reason: "no answer", Client: "10.1.2.3"}
}

// names returns the names of the failed answers, newest first.
func names(l *Log) (all []string) {
	entries, _ := l.Answers()
	for _, e := range entries {
		all = append(all, e.What.Name)
	}
	return all
}

// The list has the same content as a simple model: a map from keys to counts and times, without
// the entries that have not been seen for the longest time.
func TestAgainstModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // not a secret
		type row struct {
			count       uint64
			first, last time.Time
		}
		l, model := New(), map[string]*row{}
		for range 5000 {
			name := fmt.Sprintf("n%d.example.", rng.IntN(120))
			time.Sleep(time.Second)
			if !l.Admit() {
				t.Fatal("not admitted in a new second")
			}
			l.Answer(answer(name))
			if r := model[name]; r != nil {
				r.count++
				r.last = time.Now()
			} else {
				if len(model) == Slots {
					oldest := ""
					for n, r := range model {
						if oldest == "" || r.last.Before(model[oldest].last) {
							oldest = n
						}
					}
					delete(model, oldest)
				}
				model[name] = &row{1, time.Now(), time.Now()}
			}
			entries, omitted := l.Answers()
			if len(entries) != len(model) || omitted != 0 || entries[0].What.Name != name {
				t.Fatalf("%d entries, %d omitted, want %d entries", len(entries), omitted, len(model))
			}
			for i, e := range entries {
				r := model[e.What.Name]
				if r == nil || *r != (row{e.Count, e.First, e.Last}) || i > 0 && e.Last.After(entries[i-1].Last) {
					t.Fatalf("%+v, want %+v", e, r)
				}
			}
		}
	})
}

// At most PerSecond failed answers are admitted in a second, and the others are counted.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		for second := range 3 {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for i := range 1000 {
						if l.Admit() {
							l.Answer(answer(fmt.Sprintf("n%d.%d.example.", i, second)))
						}
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Second)
		}
		entries, omitted := l.Answers()
		var listed uint64
		for _, e := range entries {
			listed += e.Count
		}
		if listed != 3*PerSecond || listed+omitted != 3*8*1000 {
			t.Errorf("%d listed, %d omitted", listed, omitted)
		}
		if n := testing.AllocsPerRun(1000, func() { l.Admit() }); n != 0 {
			t.Errorf("%v allocations while refused", n)
		}
	})
}

// Long texts are shortened, and valid UTF-8 stays valid.
func TestLongTexts(t *testing.T) {
	l := New()
	long := strings.Repeat("ü", 100_000)
	l.Answer(&Answer{Name: long, Type: long, Rcode: long, Source: long, Reason: long, Client: long})
	log := slog.New(l.Handler(slog.DiscardHandler))
	log.Error("long texts", "key", long, "error", errors.New(long))
	entries, _ := l.Answers()
	a := entries[0].What
	total := len(a.Name) + len(a.Type) + len(a.Rcode) + len(a.Source) + len(a.Reason) + len(a.Client)
	text := l.Messages()[0].What.Text
	if total > 3000 || len(text) > maxText+3 || !utf8.ValidString(a.Name) || !utf8.ValidString(text) {
		t.Errorf("%d and %d octets", total, len(text))
	}
}

func TestHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l, level := New(), new(slog.LevelVar)
		log := slog.New(l.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})))
		log.Info("fine", "n", 1)
		for n := range 3 {
			log.Error("request failed", "resource", "services", "error", fmt.Errorf("attempt %d", n), "n", n)
			time.Sleep(time.Second)
		}
		log.Error("request failed", "resource", "endpoints")
		time.Sleep(time.Second)
		level.Set(slog.LevelError)
		log.With("file", "x").WithGroup("g").Warn("not written", "a", "b", "stack", "long")
		got := l.Messages()
		if len(got) != 3 || got[2].Count != 3 || got[2].What != (Message{"ERROR", "request failed resource=services error=attempt 2 n=2"}) ||
			got[0].What.Level != "WARN" || !strings.HasPrefix(got[0].What.Text, "not written ") || strings.Contains(got[0].What.Text, "long") {
			t.Errorf("%+v", got)
		}
		if text := out.String(); strings.Count(text, "request failed") != 4 || !strings.Contains(text, "fine") || strings.Contains(text, "not written") {
			t.Errorf("the log: %s", text)
		}
	})
}

// The number of messages is limited too.
func TestManyMessages(t *testing.T) {
	l := New()
	log := slog.New(l.Handler(slog.DiscardHandler))
	for i := range 10_000 {
		log.Warn("Service is too large", "service", fmt.Sprint(i))
	}
	if got := l.Messages(); len(got) != Slots || got[0].What.Text != "Service is too large service=9999" {
		t.Errorf("%d messages, %+v", len(got), got[0])
	}
}

// A nil log, and a log without failures, returns no entries.
func TestNone(t *testing.T) {
	var none *Log
	if none.Admit() || none.Messages() != nil || names(none) != nil || names(New()) != nil {
		t.Error("not empty")
	}
	none.Answer(answer("a."))
	slog.New(none.Handler(slog.DiscardHandler)).Error("x")
}
