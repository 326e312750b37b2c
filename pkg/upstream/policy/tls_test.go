package policy

import (
	"testing"
	"time"
)

// TestFewHandshakesWithBrokenServer is B27: whatever is asked of one server or
// two of which one is broken, there are at most 20 handshakes with it in 10
// minutes, and it is used within a minute once it is whole (B28).
func TestFewHandshakesWithBrokenServer(t *testing.T) {
	for _, spread := range []float64{0, 0.5, 1} {
		for _, both := range []bool{false, true} {
			servers := []*Server{new(Server)}
			*servers[0] = NewSecure(spread)
			if both {
				servers = append(servers, new(Server))
				*servers[1] = NewSecure(spread)
			}
			start := Time(time.Hour)
			group := NewGroup(servers, start, 1)
			cfg := &Config{Timeout: 4 * time.Second, Streams: &Streams{Max: 64}}
			broken := true
			handshakes, answered := 0, 0
			var play func(now Time, s Start)
			play = func(now Time, s Start) {
				q := new(Query)
				q.Reset(s)
				var actions []Action
				actions = q.Step(now, Event{Kind: Begin}, actions)
				for i := 0; i < len(actions); i++ {
					a := actions[i]
					switch {
					case a.Kind == Measure:
						play(now, Start{Config: cfg, Group: group, Purpose: Probing, Only: a.Server, Key: s.Key})
					case a.Kind == Send && a.Server == 0 && broken:
						handshakes++
						servers[0].HandshakeFailed(now)
						actions = q.Step(now, Event{Kind: NotConnected, Attempt: a.Attempt}, actions)
					case a.Kind == Send:
						if a.Server == 0 {
							answered++
						}
						actions = q.Step(now.Add(time.Millisecond), Event{Kind: Replied, Attempt: a.Attempt, Keepable: true}, actions)
					}
				}
				if s.Purpose == Resolve && !q.ended {
					t.Fatal("a question waits for nothing")
				}
			}
			now := start
			for i := range 6000 {
				now = start.Add(time.Duration(i) * 100 * time.Millisecond)
				play(now, Start{Config: cfg, Group: group, Key: uint64(i)})
			}
			if handshakes > 20 || handshakes < 8 {
				t.Errorf("two servers %v, spread %v: %d handshakes in 10 minutes", both, spread, handshakes)
			}
			broken = false
			for i := 0; answered == 0; i++ {
				if now = now.Add(100 * time.Millisecond); i > 600 {
					t.Fatalf("two servers %v: not used a minute later", both)
				}
				play(now, Start{Config: cfg, Group: group, Key: uint64(i)})
			}
		}
	}
}
