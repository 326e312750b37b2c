package policy

import (
	"testing"
	"time"
)

// FuzzQuery gives questions random events and checks what must always hold: one
// Finish, by the deadline; attempts numbered in order, within bounds, only while
// the question is open; a good reply ends it at once with that reply; nothing
// is counted afterwards.
func FuzzQuery(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, uint8(0), uint8(1))
	f.Add([]byte{2, 0, 0x82, 1, 0xff, 9, 0x31, 3, 0x42, 7}, uint8(1), uint8(3))
	f.Add([]byte{0x12, 0x25, 0x12, 0x35, 0x12, 0x05, 0x77, 0xff, 0xff, 0x13}, uint8(2), uint8(2))
	f.Fuzz(func(t *testing.T, events []byte, strategy, servers uint8) {
		cfg := Config{Strategy: Strategy(strategy % 3), Timeout: 4 * time.Second, MixCase: strategy&4 != 0, Streams: &Streams{Max: 8}}
		if strategy&8 != 0 {
			cfg.FirstRetry = time.Millisecond
		}
		now := Time(time.Hour)
		g := NewGroup(nil, now, 1)
		for range 1 + servers%4 {
			g.Servers = append(g.Servers, new(Server))
		}
		for name := uint64(0); len(events) > 0; name++ {
			n := min(len(events), 24)
			playRandom(t, &now, g, &cfg, name, events[:n])
			events = events[n:]
			if cfg.Streams.open != 0 {
				t.Fatalf("%d questions over TCP are counted after the end", cfg.Streams.open)
			}
			for i, s := range g.Servers {
				if s.streams.open != 0 {
					t.Fatalf("server %d: %d questions over TCP", i, s.streams.open)
				}
				s.Notice(now)
			}
		}
	})
}

func playRandom(t *testing.T, now *Time, g *Group, cfg *Config, name uint64, events []byte) {
	t.Helper()
	var q Query
	q.Reset(Start{Config: cfg, Group: g, Key: name, Client: name % 3, DO: name%2 == 1, SlowAfter: time.Second})
	var sends []Action
	finished, slow := 0, 0
	began := *now
	check := func(ev Event) {
		t.Helper()
		open := ev.Kind <= Tick || !q.ended && q.attempts[ev.Attempt].open
		for _, a := range q.Step(*now, ev, nil) {
			if finished > 0 {
				t.Fatalf("action %+v after the end", a)
			}
			switch a.Kind {
			case Send:
				if a.Attempt != len(sends) || a.Attempt >= MaxAttempts || a.Server >= len(g.Servers) {
					t.Fatalf("attempt %+v after %d", a, len(sends))
				}
				if g.Servers[a.Server].IsLooping() {
					t.Fatal("a looping server is asked")
				}
				sends = append(sends, a)
			case Slow:
				slow++
			case Finish:
				finished++
				if open && ev.Kind == Replied && ev.Outcome == Good && a.End != EndReply {
					t.Fatalf("a good reply leads to %+v", a)
				}
			}
		}
		if open && ev.Kind == Replied && ev.Outcome == Good && finished != 1 {
			t.Fatal("a good reply does not end the question")
		}
	}
	check(Event{Kind: Begin})
	for _, b := range events {
		if q.ended {
			break
		}
		if due := q.Due(); b&0x80 != 0 || len(sends) == 0 {
			if due < *now {
				due = *now
			}
			*now = due
			check(Event{Kind: Tick})
			continue
		}
		*now = now.Add(time.Duration(b>>5) * 10 * time.Millisecond)
		ev := Event{Kind: Replied + EventKind(b&7)%6, Attempt: int(b>>3) % len(sends), Outcome: Outcome(b>>2) % 6, OPT: b&1 != 0, Keepable: b&2 != 0}
		check(ev)
	}
	for i := 0; !q.ended; i++ {
		if i > 100 {
			t.Fatal("the question does not end")
		}
		*now = max(*now, q.Due())
		check(Event{Kind: Tick})
	}
	if finished != 1 || slow > 1 || now.Since(began) > cfg.Timeout+5*time.Second {
		t.Fatalf("ended %d times, slow %d times, after %v", finished, slow, now.Since(began))
	}
}

// TestRTO: a server that dies adds less than 200 ms to what a query takes
// usually, and a jittery or slow one is not given up too early.
func TestRTO(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name    string
		samples []time.Duration
		low     time.Duration
		high    time.Duration
	}{
		{"never seen", nil, 100 * ms, 190 * ms},
		{"in the cluster", []time.Duration{ms, ms, ms, 2 * ms}, 100 * ms, 100 * ms},
		{"steady", []time.Duration{120 * ms, 120 * ms, 120 * ms, 120 * ms, 120 * ms, 120 * ms}, 130 * ms, 310 * ms},
		{"jittery", []time.Duration{10 * ms, 150 * ms, 10 * ms, 150 * ms}, 150 * ms, 240 * ms},
		{"slow at first", []time.Duration{300 * ms}, 400 * ms, 400 * ms},
		{"very slow", []time.Duration{2 * time.Second, 2 * time.Second}, 400 * ms, 400 * ms},
	} {
		var s Server
		for i, d := range test.samples {
			s.heard(Time(i+1), d, Fault{})
		}
		rto := s.rto()
		if rto < test.low || rto > test.high {
			t.Errorf("%s: %v, want %v to %v", test.name, rto, test.low, test.high)
		}
		if added := rto - s.srtt; added >= 190*ms {
			t.Errorf("%s: a dead server adds %v", test.name, added)
		}
	}
}

// BenchmarkQuestion is the policy of one question that is answered.
func BenchmarkQuestion(b *testing.B) {
	cfg := Config{Timeout: 4 * time.Second, Streams: &Streams{Max: 8}}
	g := NewGroup([]*Server{new(Server), new(Server)}, 1, 1)
	now := Time(time.Hour)
	var q Query
	actions := make([]Action, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		q.Reset(Start{Config: &cfg, Group: g, Key: uint64(now)})
		actions = q.Step(now, Event{Kind: Begin}, actions[:0])
		actions = q.Step(now+500, Event{Kind: Replied, Attempt: actions[0].Attempt}, actions[:0])
		if actions[0].Kind != Finish {
			b.Fatal("the question does not end")
		}
	}
}
