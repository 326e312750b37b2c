package replicas

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// The times and bounds of the policy.
const (
	// MinTTL and MaxTTL bound the time between two lookups that found replicas.
	MinTTL = time.Second
	MaxTTL = 5 * time.Minute
	// EmptyRetry is the time to the next lookup after one that found none.
	EmptyRetry = 5 * time.Second
	// MinRetry and MaxRetry bound the time to the next lookup after one that failed
	// everywhere. It doubles.
	MinRetry = time.Second
	MaxRetry = 10 * time.Second
	// MaxReplicas bounds the replicas that are asked; of more, each program chooses others.
	MaxReplicas = 16
	// helpers is how many replicas are asked for the name when no bootstrap server answers.
	helpers = 3
)

// Kind is the kind of an [Event].
type Kind int

// The events.
const (
	// Tick says that [Machine.Due] has come, and at the start that it begins.
	Tick Kind = iota
	// Answered brings the answer of the server that was asked last: Addrs, none if the
	// name has none, and their TTL.
	Answered
	// Failed says that this server gave no answer, or an error.
	Failed
)

// Event is what happened.
type Event struct {
	Kind  Kind
	Addrs []netip.Addr  // for Answered
	TTL   time.Duration // of Addrs
	// Jitter, from 0 to 1, makes the next lookup of different programs differ.
	Jitter float64
}

// Do is the kind of an [Action].
type Do int

// The actions.
const (
	// Ask asks Server for the addresses of the name; the outcome is the next event.
	Ask Do = iota
	// Use makes Addrs the replicas, none if there are none.
	Use
	// Report tells operators of Problem, "" if there is none any more.
	Report
)

// Action is one thing to do.
type Action struct {
	Do      Do
	Server  netip.AddrPort // for Ask
	Addrs   []netip.Addr   // for Use
	Problem Problem        // for Report
}

// Problem is what is wrong with the replicas, in words for the log.
type Problem string

// The problems.
const (
	None         Problem = ""
	NoReplica    Problem = "the name has no address; asking the servers of --server"
	OnlyInvalid  Problem = "none of the addresses in the answer can be a replica; keeping the previous ones"
	NobodyAnswer Problem = "no server answers the lookup; keeping the previous replicas"
)

// Machine decides when to look the replicas up, whom to ask, and which to use. It is pure:
// it has no clock, socket or goroutine. Set the exported fields and begin with [Tick].
type Machine struct {
	// Bootstrap are the servers of the name's domain, which lead to any replica.
	Bootstrap []netip.AddrPort
	// Port is that of the replicas.
	Port uint16
	// Valid reports whether an address can be that of a replica.
	Valid func(netip.Addr) bool
	// Rank gives addresses an order that differs from program to program.
	Rank func(netip.Addr) uint64

	replicas []netip.Addr  // those in use, in the order of Rank
	asked    int           // how many servers were asked in this round; 0 between rounds
	invalid  bool          // an answer of this round had only invalid addresses
	due      time.Time     // the next round
	pause    time.Duration // before it, after a round that failed; 0 after one that did not
	problem  Problem       // the last that was reported
}

// Due is when the next Tick is due.
func (m *Machine) Due() time.Time { return m.due }

// Step takes an event at the time now and returns what to do. The last action of the result
// may be Ask, whose outcome is the next event.
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

// ask asks the next server of the round: the bootstrap servers, then replicas, which know
// the name too.
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
		// A replica that knows of no replica: it may be about to end. The bootstrap
		// server does not answer, so there is nobody else to ask.
		return m.ask(now)
	}
	m.due = now.Add(EmptyRetry)
	return m.use(nil, NoReplica)
}

// use ends the round.
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

// choose returns at most MaxReplicas of the addresses that are valid, each once, in the
// order of Rank, so that a change of the others does not change the choice.
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
