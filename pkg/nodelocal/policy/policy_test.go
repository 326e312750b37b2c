package policy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var names = map[string]Event{
	"begin": {Kind: Begin}, "hit": {Kind: Hit}, "miss": {Kind: Miss}, "alone": {Kind: Alone}, "path": {Kind: PathMiss}, "blocked": {Kind: Blocked}, "tick": {Kind: Tick},
	"exit0": {Kind: Exited}, "exit2": {Kind: Exited, Code: 2}, "killed": {Kind: Exited, Code: -9}, "term": {Kind: Terminate}, "int": {Kind: Interrupt},
}

func text(actions []Action) string {
	var words []string
	for _, a := range actions {
		word := [...]string{"start", "install", "remove", "release", "term", "kill", "exit"}[a.Do]
		switch a.Do {
		case Remove:
			word += ":" + string(a.Reason)
		case Exit:
			word += fmt.Sprint(a.Code)
		}
		words = append(words, word)
	}
	return strings.Join(words, ",")
}

// Each word of a scenario is "time event[=actions]", the time in milliseconds.
func TestScenarios(t *testing.T) {
	for name, script := range map[string]string{
		"no rules before an answer":               `0 begin=start; 500 miss; 1000 miss; 1500 miss; 2000 miss; 2500 hit; 3000 hit; 3500 hit; 4000 hit; 4500 hit=install`,
		"rules with the first answer":             `0 begin=start; 20 hit=install; 520 hit`,
		"no rules before an answer from upstream": `0 begin=start; 20 alone; 70 alone; 120 hit=install; 620 alone`,
		"rules without one after 3 s":             `0 begin=start; 20 alone; 3019 alone; 3020 alone=install`,
		"a restart without an answer":             `0 begin=start; 20 hit=install; 70000 killed=remove:cache_exited; 70250 tick=start; 70300 alone; 73299 alone; 73300 alone=install`,
		"a first cache that fails ends it":        `0 begin=start; 30 exit2=exit2`,
		"a first cache killed ends it":            `0 begin=start; 30 killed=exit1`,
		"a first cache that has done its task":    `0 begin=start; 30 exit0=exit0`,
		"stuck after three misses, back after 5":  `0 begin=start; 20 hit=install; 520 miss; 1020 miss; 1520 miss=remove:cache_stuck; 2020 miss; 2520 hit; 3020 hit; 3520 hit; 4020 hit; 4520 hit=install`,
		"addresses that do not answer":            `0 begin=start; 20 hit=install; 520 path; 1020 path; 1520 path=remove:addresses_unreachable; 2020 hit; 61519 hit; 61519 hit; 61519 hit; 61519 hit; 61520 hit=install`,
		"two of them do nothing":                  `0 begin=start; 20 hit=install; 520 path; 1020 path; 1520 hit; 2020 path; 2520 path`,
		"a filter that drops queries":             `0 begin=start; 20 hit=install; 1000 blocked=remove:addresses_unreachable; 1001 blocked; 1500 hit; 2000 hit; 2500 hit; 3000 hit; 60500 hit; 61000 hit=install; 62000 blocked=remove:addresses_unreachable; 62001 hit; 62002 hit; 62003 hit; 62004 hit; 62005 hit; 181999 hit; 182000 hit=install`,
		"blocked anew after a quiet hour":         `0 begin=start; 20 hit=install; 1000 blocked=remove:addresses_unreachable; 61000 hit; 61001 hit; 61002 hit; 61003 hit; 61004 hit=install; 3661004 blocked=remove:addresses_unreachable; 3661005 hit; 3661006 hit; 3661007 hit; 3661008 hit; 3721003 hit; 3721004 hit=install`,
		"blocked before there are rules":          `0 begin=start; 10 blocked; 20 hit; 30 hit; 40 hit; 50 hit; 60 hit=install`,
		"blocked, and then the cache ends":        `0 begin=start; 20 hit=install; 1000 blocked=remove:addresses_unreachable; 2000 killed; 2250 tick=start; 2260 hit; 61260 hit=install`,
		"two misses do nothing":                   `0 begin=start; 20 hit=install; 520 miss; 1020 miss; 1520 hit; 2020 miss; 2520 miss; 3020 hit`,
		"crash flips, restarts, returns":          `0 begin=start; 20 hit=install; 70000 killed=remove:cache_exited; 70100 tick; 70250 tick=start; 70300 hit=install`,
		"backoff doubles":                         `0 begin=start; 20 hit=install; 100 exit2=remove:cache_exited; 350 tick=start; 400 exit2; 899 tick; 900 tick=start; 1000 exit2; 1999 tick; 2000 tick=start`,
		"sockets are held in short pauses":        `0 begin=start; 20 hit=install; 100 exit2=remove:cache_exited; 350 tick=start; 400 exit2; 900 tick=start; 1000 exit2; 2000 tick=start; 2100 exit2=release; 4100 tick=start; 4200 hit=install; 70000 killed=remove:cache_exited`,
		"backoff begins anew once settled":        `0 begin=start; 20 hit=install; 100 exit2=remove:cache_exited; 350 tick=start; 400 hit=install; 60400 exit2=remove:cache_exited; 60650 tick=start`,
		"SIGTERM flips first":                     `0 begin=start; 20 hit=install; 1000 term=remove:stopping,release,term; 1500 hit; 2000 term; 6000 hit; 6100 exit2=exit0`,
		"SIGTERM, then a cache that stays":        `0 begin=start; 20 hit=install; 1000 term=remove:stopping,release,term; 8999 tick; 9000 tick=kill; 9001 tick; 9010 killed=exit0`,
		"SIGINT does not wait":                    `0 begin=start; 20 hit=install; 1000 int=remove:stopping,release,term; 4000 tick=kill`,
		"SIGTERM while there is no cache":         `0 begin=start; 20 hit=install; 100 killed=remove:cache_exited; 110 term=exit0`,
		"stuck for ever is killed":                `0 begin=start; 20 hit=install; 520 miss; 1020 miss; 1520 miss=remove:cache_stuck; 2020 miss; 2520 miss; 3020 miss=kill; 3030 killed; 3280 tick=start; 3290 hit=install`,
		"stopped with its supervisor":             `0 begin=start; 20 hit=install; 60000 tick; 60001 miss; 60500 hit`,
		"a restart that never answers is killed":  `0 begin=start; 20 hit=install; 100 killed=remove:cache_exited; 350 tick=start; 30349 tick; 30350 tick=kill; 30360 killed; 30859 tick; 30860 tick=start`,
		"the first start that never answers":      `0 begin=start; 29999 tick; 30000 tick=kill; 30010 killed=exit1`,
		"late answer of a dead cache":             `0 begin=start; 20 hit=install; 100 killed=remove:cache_exited; 101 hit; 350 tick=start; 400 hit=install`,
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			m := Machine{Lameduck: 5 * time.Second}
			for line := range strings.SplitSeq(script, ";") {
				var at int
				var what string
				if _, err := fmt.Sscanf(line, "%d %s", &at, &what); err != nil {
					t.Fatal(err)
				}
				event, want, _ := strings.Cut(what, "=")
				e, ok := names[event]
				if !ok {
					t.Fatalf("unknown event %q", event)
				}
				if got := text(m.Step(time.UnixMilli(int64(at)), e)); got != want {
					t.Fatalf("%s: %s, want %s", line, got, want)
				}
			}
		})
	}
}

// TestStuckInTime: the rules are removed within the promised 2.5 s, whenever the cache stops.
func TestStuckInTime(t *testing.T) {
	if worst := CheckEvery*MissesToFlip + CheckPatience; worst > 2500*time.Millisecond {
		t.Errorf("a stuck cache is noticed after %v", worst)
	}
	// A query that comes when the cache stops is answered by the next one while musl still
	// waits, which leaves a second for the cache's start.
	if worst := CheckEvery*MissesToKill + CheckPatience + FirstBackoff; worst > 4*time.Second {
		t.Errorf("a cache that never answers again is replaced after %v", worst)
	}
	if back := HitsToReturn * CheckEvery; back > 3*time.Second {
		t.Errorf("a cache that answers again gets its queries back after %v", back)
	}
}

// TestInvariants feeds random events and checks what the package comment promises.
func TestInvariants(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := Machine{Lameduck: time.Duration(r.IntN(5)) * time.Second}
		now, alive, answered, rules, ending, held := time.UnixMilli(0), false, false, false, false, false
		take := func(kind Kind, actions []Action) (over bool) {
			for _, a := range actions {
				switch a.Do {
				case Start:
					if alive || ending {
						t.Fatalf("seed %d: started while alive %v, ending %v", seed, alive, ending)
					}
					alive, answered, held = true, false, true
				case Release:
					held = false
				case Install:
					if !alive || !answered || rules || ending {
						t.Fatalf("seed %d: installed: alive %v, answered %v, rules %v, ending %v", seed, alive, answered, rules, ending)
					}
					rules = true
				case Remove:
					if !rules {
						t.Fatalf("seed %d: removed twice", seed)
					}
					rules = false
				case Term, Kill:
					if !alive || a.Do == Term && held {
						t.Fatalf("seed %d: signal: alive %v, sockets held %v", seed, alive, held)
					}
				case Exit:
					over = true
				}
			}
			if rules && (!alive || ending) || rules != m.installed || alive != m.Running() {
				t.Fatalf("seed %d after %v: rules %v, alive %v, ending %v", seed, kind, rules, alive, ending)
			}
			return over
		}
		over := take(Begin, m.Step(now, Event{Kind: Begin}))
		for range 200 {
			if over {
				break
			}
			now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
			e := Event{Kind: Kind(1 + r.IntN(9))}
			if r.IntN(4) > 0 && (e.Kind == Terminate || e.Kind == Interrupt) {
				e.Kind = Tick
			}
			switch e.Kind {
			case Exited:
				if !alive {
					continue
				}
				alive, e.Code = false, r.IntN(4)-1
			case Hit, Alone:
				answered = answered || alive
			case Miss, PathMiss, Blocked:
				if !alive {
					continue
				}
			case Terminate, Interrupt:
				ending = true
			}
			over = take(e.Kind, m.Step(now, e))
		}
	}
}
