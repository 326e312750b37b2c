package replicas

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func newMachine() *Machine {
	return &Machine{
		Bootstrap: []netip.AddrPort{netip.MustParseAddrPort("10.96.0.11:53")},
		Port:      53,
		Valid:     func(a netip.Addr) bool { return !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() },
		Rank:      func(a netip.Addr) uint64 { return uint64(a.As16()[15]) },
	}
}

func addrs(text string) (list []netip.Addr) {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '+' }) {
		list = append(list, netip.MustParseAddr(word))
	}
	return list
}

// text returns actions in the notation of the scenarios.
func text(actions []Action) string {
	var words []string
	for _, a := range actions {
		switch a.Do {
		case Ask:
			words = append(words, "ask:"+a.Server.Addr().String())
		case Use:
			var list []string
			for _, addr := range a.Addrs {
				list = append(list, addr.String())
			}
			words = append(words, "use:"+strings.Join(list, "+"))
		case Report:
			word, _, _ := strings.Cut(strings.ReplaceAll(string(a.Problem), " ", "-"), ";")
			words = append(words, "report:"+word)
		}
	}
	return strings.Join(words, ",")
}

// event parses "tick", "failed", "answer/10.1.0.1+10.1.0.2/30s" or "empty".
func event(t *testing.T, what string) Event {
	t.Helper()
	parts := strings.Split(what, "/")
	switch parts[0] {
	case "tick":
		return Event{Kind: Tick}
	case "failed":
		return Event{Kind: Failed}
	case "empty":
		return Event{Kind: Answered, TTL: MaxTTL}
	case "answer":
		ttl, err := time.ParseDuration(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		return Event{Kind: Answered, Addrs: addrs(parts[1]), TTL: ttl}
	}
	t.Fatalf("unknown event %q", what)
	return Event{}
}

// Each part of a scenario has the form "time event[=actions]".
func TestScenarios(t *testing.T) {
	const b = "ask:10.96.0.11"
	for name, script := range map[string]string{
		"followed at the TTL":                             `0s tick=` + b + `; 1ms answer/10.1.0.1+10.1.0.2/30s=use:10.1.0.1+10.1.0.2; 29.9s tick; 30.001s tick=` + b + `; 30.002s answer/10.1.0.2+10.1.0.3/30s=use:10.1.0.2+10.1.0.3`,
		"the same answer, in another order, is no change": `0s tick=` + b + `; 0s answer/10.1.0.1+10.1.0.2/30s=use:10.1.0.1+10.1.0.2; 30s tick=` + b + `; 30s answer/10.1.0.2+10.1.0.1+10.1.0.2/30s`,
		"a TTL of 0 is a second":                          `0s tick=` + b + `; 0s answer/10.1.0.1/0s=use:10.1.0.1; 999ms tick; 1s tick=` + b,
		"a TTL of a week is five minutes":                 `0s tick=` + b + `; 0s answer/10.1.0.1/168h=use:10.1.0.1; 299s tick; 300s tick=` + b,
		"a replica vanishes":                              `0s tick=` + b + `; 0s answer/10.1.0.1+10.1.0.2/5s=use:10.1.0.1+10.1.0.2; 5s tick=` + b + `; 5s answer/10.1.0.2/5s=use:10.1.0.2`,
		"the bootstrap server is dead: replicas are asked": `0s tick=` + b + `; 0s answer/10.1.0.1+10.1.0.2/30s=use:10.1.0.1+10.1.0.2; 30s tick=` + b +
			`; 32s failed=ask:10.1.0.1; 34s failed=ask:10.1.0.2; 34s answer/10.1.0.2+10.1.0.3/30s=use:10.1.0.2+10.1.0.3; 63s tick; 64s tick=` + b,
		"everybody is dead: the replicas stay, and the pause doubles": `0s tick=` + b + `; 0s answer/10.1.0.1/30s=use:10.1.0.1; 30s tick=` + b +
			`; 32s failed=ask:10.1.0.1; 34s failed=report:no-server-answers-the-lookup; 35s tick=` + b + `; 37s failed=ask:10.1.0.1; 39s failed; 40.9s tick; 41s tick=` + b +
			`; 43s answer/10.1.0.1/30s=report:`,
		"the pause is at most ten seconds": `0s tick=` + b + `; 0s failed=report:no-server-answers-the-lookup; 1s tick=` + b + `; 1s failed; 3s tick=` + b + `; 3s failed; 7s tick=` + b +
			`; 7s failed; 15s tick=` + b + `; 15s failed; 24.9s tick; 25s tick=` + b + `; 25s failed; 35s tick=` + b,
		"no replica: the servers of --server": `0s tick=` + b + `; 0s answer/10.1.0.1/30s=use:10.1.0.1; 30s tick=` + b + `; 30s empty=report:the-name-has-no-address,use:; 34.9s tick; 35s tick=` + b +
			`; 35s answer/10.1.0.9/30s=report:,use:10.1.0.9`,
		"a replica that knows of no replica is not believed": `0s tick=` + b + `; 0s answer/10.1.0.1/30s=use:10.1.0.1; 30s tick=` + b + `; 30s failed=ask:10.1.0.1; 30s empty=report:no-server-answers-the-lookup`,
		"an answer that lies": `0s tick=` + b + `; 0s answer/10.1.0.1/30s=use:10.1.0.1; 30s tick=` + b +
			`; 30s answer/127.0.0.1+0.0.0.0+224.0.0.1/30s=ask:10.1.0.1; 30s failed=report:none-of-the-addresses-in-the-answer-can-be-a-replica; 31s tick=` + b + `; 31s answer/10.1.0.2+127.0.0.1/30s=report:,use:10.1.0.2`,
		"nothing was ever found":   `0s tick=` + b + `; 0s empty=report:the-name-has-no-address; 5s tick=` + b + `; 5s empty`,
		"no second lookup at once": `0s tick=` + b + `; 1s tick; 60s tick`,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			m := newMachine()
			for part := range strings.SplitSeq(script, ";") {
				var at, what string
				if _, err := fmt.Sscan(part, &at, &what); err != nil {
					t.Fatal(err)
				}
				when, err := time.ParseDuration(at)
				if err != nil {
					t.Fatal(err)
				}
				what, want, _ := strings.Cut(what, "=")
				if got := text(m.Step(time.Unix(0, 0).Add(when), event(t, what))); got != want {
					t.Fatalf("%s: %q, want %q", part, got, want)
				}
			}
		})
	}
}

// TestModel sends random events to the machine. The replicas in use are always valid, each is
// there once, and there are not too many. A lookup is always in progress, or due within five
// minutes. The number of questions in a round is limited.
func TestModel(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 7))
		m, now, asking, asks := newMachine(), time.Unix(0, 0), false, 0
		var used []netip.Addr
		for range 200 {
			e := Event{Kind: Tick, Jitter: r.Float64()}
			if asking {
				e.Kind = Kind(1 + r.IntN(2))
				for range r.IntN(40) * r.IntN(2) {
					e.Addrs = append(e.Addrs, netip.AddrFrom4([4]byte{byte(r.IntN(3)*117 + 10), 1, byte(r.IntN(2)), byte(r.IntN(64))}))
				}
				e.TTL = time.Duration(r.Int64N(int64(time.Hour)))
			} else {
				now = m.Due().Add(time.Duration(r.IntN(100)) * time.Millisecond)
				asks = 0
			}
			asking = false
			for _, a := range m.Step(now, e) {
				switch a.Do {
				case Ask:
					asking = true
					asks++
				case Use:
					used = a.Addrs
				}
			}
			if asks > 1+helpers {
				t.Fatalf("seed %d: %d servers asked in a round", seed, asks)
			}
			seen := map[netip.Addr]bool{}
			for _, a := range used {
				if seen[a] || !m.Valid(a) {
					t.Fatalf("seed %d: uses %v", seed, used)
				}
				seen[a] = true
			}
			if len(used) > MaxReplicas {
				t.Fatalf("seed %d: %d replicas", seed, len(used))
			}
			if wait := m.Due().Sub(now); !asking && (wait < MinTTL*9/10 || wait > MaxTTL) {
				t.Fatalf("seed %d: the next lookup is in %v", seed, wait)
			}
		}
	}
}
