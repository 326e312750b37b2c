package replicas

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// The times and limits of the policy.
const (
	// MinTTL and MaxTTL are the limits for the time to the next lookup after one that found
	// replicas.
	MinTTL = time.Second
	MaxTTL = 5 * time.Minute
	// EmptyRetry is the time to the next lookup after one that found no replicas.
	EmptyRetry = 5 * time.Second
	// MinRetry and MaxRetry are the limits for the time to the next lookup after one that no
	// server answered. The time doubles with each such lookup.
	MinRetry = time.Second
	MaxRetry = 10 * time.Second
	// MaxReplicas is the largest number of replicas that are asked. If there are more, each
	// program chooses different ones.
	MaxReplicas = 16
	// helpers is the number of replicas that are asked for the name if no bootstrap server
	// answers.
	helpers = 3
)

// Kind is the kind of an [Event].
type Kind int

// The events.
const (
	// Tick means that the time of [Machine.Due] has come. The first event must be a Tick.
	Tick Kind = iota
	// Answered means that the server that was asked last has answered. Addrs are the addresses
	// of the name, none if it has none, and TTL is their TTL.
	Answered
	// Failed means that the server that was asked last gave no usable answer.
	Failed
)

// Event is one event for [Machine.Step].
type Event struct {
	Kind  Kind
	Addrs []netip.Addr  // the addresses; only for Answered
	TTL   time.Duration // the shortest TTL of Addrs
	// Jitter is a random number from 0 to 1. It spreads the next lookups of different programs
	// over time.
	Jitter float64
}

// Do is the kind of an [Action].
type Do int

// The actions.
const (
	// Ask means to ask Server for the addresses of the name. The outcome is the next event.
	Ask Do = iota
	// Use means that Addrs are the replicas from now on. There may be none.
	Use
	// Report means to log Problem. If it is empty, the previous problem has ended.
	Report
)

// Action is one thing that the caller of [Machine.Step] must do.
type Action struct {
	Do      Do
	Server  netip.AddrPort // the server to ask; only for Ask
	Addrs   []netip.Addr   // the replicas; only for Use
	Problem Problem        // only for Report
}

// Problem is a problem with the replicas, in the wording of the log.
type Problem string

// The problems.
const (
	None         Problem = ""
	NoReplica    Problem = "the name has no address; asking the servers of --server"
	OnlyInvalid  Problem = "none of the addresses in the answer can be a replica; keeping the previous ones"
	NobodyAnswer Problem = "no server answers the lookup; keeping the previous replicas"
)

// Machine decides when to look up the replicas, which server to ask for them, and which of them
// to use. It is pure: it has no clock, socket or goroutine. Set the exported fields, and call
// Step with a [Tick] to begin.
type Machine struct {
	// Bootstrap are the servers of the name's domain. Each leads to any of the replicas.
	Bootstrap []netip.AddrPort
	// Port is the port on which the replicas answer.
	Port uint16
	// Valid reports whether an address can be that of a replica.
	Valid func(netip.Addr) bool
	// Rank defines the order of addresses. It should differ from program to program.
	Rank func(netip.Addr) uint64

	replicas []netip.Addr  // the replicas in use, in the order of Rank
	asked    int           // how many servers were asked in this round; 0 between rounds
	invalid  bool          // an answer of this round had only invalid addresses
	due      time.Time     // the time of the next round
	pause    time.Duration // the wait before due if the last round failed; otherwise 0
	problem  Problem       // the problem that was reported last
}

// Due returns the time of the next Tick.
func (m *Machine) Due() time.Time { return m.due }

// Step handles an event at the time now and returns the actions that it leads to. Only the last
// action can be Ask.
func (m *Machine) Step(now time.Time, e Event) []Action {
	switch e.Kind {
	case Answered:
		return m.answered(now, e)
	case Failed:
		return m.ask(now)
	}
	if m.asked > 0 || now.Before(m.due) {
		return nil
	}
	m.invalid = false
	return m.ask(now)
}

// ask asks the next server of the round: first the bootstrap servers, then replicas, which can
// answer for the name too.
func (m *Machine) ask(now time.Time) []Action {
	var server netip.AddrPort
	switch at := m.asked - len(m.Bootstrap); {
	case at < 0:
		server = m.Bootstrap[m.asked]
	case at < min(helpers, len(m.replicas)):
		server = netip.AddrPortFrom(m.replicas[at], m.Port)
	default:
		m.pause = min(max(2*m.pause, MinRetry), MaxRetry)
		m.asked, m.due = 0, now.Add(m.pause)
		if m.invalid {
			return m.report(OnlyInvalid)
		}
		return m.report(NobodyAnswer)
	}
	m.asked++
	return []Action{{Do: Ask, Server: server}}
}

func (m *Machine) answered(now time.Time, e Event) []Action {
	valid := m.choose(e.Addrs)
	switch {
	case len(valid) > 0:
		wait := min(max(e.TTL, MinTTL), MaxTTL)
		m.due = now.Add(wait - time.Duration(e.Jitter*float64(wait)/10))
		return m.use(valid, None)
	case len(e.Addrs) > 0:
		m.invalid = true
		return m.ask(now)
	case m.asked > len(m.Bootstrap):
		// A replica that reports no replicas may be about to end. The bootstrap servers
		// do not answer, so only other replicas are left to ask.
		return m.ask(now)
	}
	m.due = now.Add(EmptyRetry)
	return m.use(nil, NoReplica)
}

// use ends the round with the replicas that it found.
func (m *Machine) use(replicas []netip.Addr, problem Problem) []Action {
	m.asked, m.pause = 0, 0
	actions := m.report(problem)
	if !slices.Equal(replicas, m.replicas) {
		m.replicas = replicas
		actions = append(actions, Action{Do: Use, Addrs: replicas})
	}
	return actions
}

func (m *Machine) report(p Problem) []Action {
	if p == m.problem {
		return nil
	}
	m.problem = p
	return []Action{{Do: Report, Problem: p}}
}

// choose returns the valid addresses, each once, in the order of Rank, and at most MaxReplicas.
// When other addresses are added or removed, most of those chosen stay the same.
func (m *Machine) choose(addrs []netip.Addr) []netip.Addr {
	var valid []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); m.Valid(a) {
			valid = append(valid, a)
		}
	}
	slices.SortFunc(valid, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(m.Rank(a), m.Rank(b)), a.Compare(b))
	})
	valid = slices.Compact(valid)
	return valid[:min(len(valid), MaxReplicas)]
}
