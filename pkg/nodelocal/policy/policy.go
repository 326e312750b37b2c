// Package policy decides when the rules that lead a node's DNS queries to its cache are in
// the kernel, and when the cache is restarted. Call [Machine.Step] with the time and one
// event, and carry out the actions that it returns. The package has no clock, process, socket
// or goroutine of its own.
//
// Five rules hold whatever happens:
//
//   - The rules are not installed before the running cache has answered.
//   - The rules are removed as soon as the cache ends, stops answering, or is told to end.
//   - Nobody else holds the cache's sockets when it is told to end, or for long without a cache.
//   - Only faults of the cache itself count. The checks are questions that it answers
//     without asking anybody, so a failure of the cluster's DNS changes nothing.
//   - If the cache ends before its first answer, the configuration is at fault, or the cache
//     had another task, such as --test: the program ends with the cache's exit code.
package policy

import "time"

// The times and limits of the policy.
const (
	// CheckEvery is the period of the checks.
	CheckEvery = 500 * time.Millisecond
	// CheckPatience is how long one check waits for its answer.
	CheckPatience = 250 * time.Millisecond
	// MissesToFlip is how many checks in a row must fail before the rules are removed.
	MissesToFlip = 3
	// UpstreamWait is how long a new cache may wait for its upstream servers before the rules
	// are installed all the same. Until then, queries go where they went before. kube-proxy
	// may take some seconds to serve a new Service.
	UpstreamWait = 3 * time.Second
	// HitsToReturn is how many checks in a row must succeed before the rules come back.
	HitsToReturn = 5
	// MissesToKill is how many checks in a row must fail before the cache is killed, so that
	// the next one answers the queries that wait. The time is short enough for musl, which waits
	// 5 s in all. Checks are counted, not seconds, because a supervisor that was stopped together
	// with its cache must not blame the cache.
	MissesToKill = 6
	// StartLimit is how long a cache may take to its first answer before it is killed.
	StartLimit = 30 * time.Second
	// FirstBackoff and MaxBackoff bound the pause before a restart, which doubles each time.
	FirstBackoff = 250 * time.Millisecond
	MaxBackoff   = 30 * time.Second
	// HoldLimit is the longest pause before a restart in which queries wait for the next cache.
	// In a longer one it is better to reject them, so that clients ask another server: musl
	// repeats a query after 2.5 s, glibc after 5 s.
	HoldLimit = time.Second
	// Settled is how long a cache must have answered before the pause returns to
	// FirstBackoff.
	Settled = time.Minute
	// MinBlocked and MaxBlocked bound how long the rules stay out of the kernel after queries
	// failed to reach a cache that does answer: something else on the host blocks them. The
	// time doubles each time, and returns to MinBlocked once the rules have stayed installed
	// for MaxBlocked.
	MinBlocked = time.Minute
	MaxBlocked = time.Hour
	// ExitGrace is how much longer than its lame-duck time a cache may take to end before it
	// is killed.
	ExitGrace = 3 * time.Second
)

// Kind is the kind of an [Event].
type Kind int

// The events.
const (
	// Begin is the start of the program.
	Begin Kind = iota
	// Hit and Miss are the outcomes of a check of the running cache.
	Hit
	Miss
	// Alone is a Hit of a new cache that could not reach its upstream servers.
	Alone
	// PathMiss is a check that the cache answered at its private address, but not at the
	// node's addresses. Blocked means that queries from other hosts and Pods do not arrive.
	PathMiss
	Blocked
	// Exited means that the cache has ended. Code is its exit code, negative for a signal.
	Exited
	// Terminate asks the program to end after the lame-duck time, Interrupt at once.
	Terminate
	Interrupt
	// Tick means only that time has passed.
	Tick
)

// Event is what happened.
type Event struct {
	Kind Kind
	// Code is the exit code, for Exited.
	Code int
}

// Do is the kind of an [Action].
type Do int

// The actions.
const (
	// Start starts the cache.
	Start Do = iota
	// Install puts the rules into the kernel, after the link and its addresses.
	Install
	// Remove takes the rules out of the kernel; Reason says why.
	Remove
	// Release closes the sockets that are held for the next cache.
	Release
	// Term and Kill send SIGTERM and SIGKILL to the cache.
	Term
	Kill
	// Exit ends the program with Code.
	Exit
)

// Reason is why the rules were removed, in the words of the log.
type Reason string

// The reasons.
const (
	CacheExited Reason = "cache_exited"
	CacheStuck  Reason = "cache_stuck"
	Stopping    Reason = "stopping"
	Unreachable Reason = "addresses_unreachable"
)

// Action is one thing to do.
type Action struct {
	Do     Do
	Reason Reason // for Remove
	Code   int    // for Exit
}

// Machine is the state of the policy. The zero value with Lameduck set is ready for [Begin].
// It is not safe for concurrent use.
type Machine struct {
	// Lameduck is how long the cache goes on answering after SIGTERM.
	Lameduck time.Duration

	running   bool          // the cache is a process
	installed bool          // the rules are in the kernel
	answered  bool          // this or an earlier cache has answered
	ending    bool          // the program is about to end
	killed    bool          // the running cache was sent SIGKILL
	hits      int           // checks in a row that succeeded, since the start or flip
	misses    int           // checks in a row that failed
	needHits  int           // hits that Install takes: 1 after a start
	backoff   time.Duration // the pause before the last restart
	restartAt time.Time     // when to start the cache, if it is not running
	firstHit  time.Time     // when the running cache answered first, zero before
	startedAt time.Time     // when it was started
	killAt    time.Time     // when an ending cache is killed

	pathMisses   int           // PathMiss in a row
	installedAt  time.Time     // when the rules came last
	blockedUntil time.Time     // until when they stay away
	pause        time.Duration // for how long that was
}

// Running reports whether the cache should be running, so that it can be checked.
func (m *Machine) Running() bool { return m.running }

// Step takes an event that happened at now, and returns the actions to carry out, in order.
// From call to call, now must not go back.
func (m *Machine) Step(now time.Time, e Event) []Action {
	switch e.Kind {
	case Begin:
		return m.start(now)
	case Hit, Alone:
		return m.hit(now, e.Kind == Alone)
	case Miss:
		return append(m.miss(), m.overdue(now)...)
	case PathMiss:
		m.misses = 0
		if m.pathMisses++; m.pathMisses >= MissesToFlip {
			return m.blocked(now)
		}
	case Blocked:
		return m.blocked(now)
	case Exited:
		return m.exited(now, e.Code)
	case Terminate, Interrupt:
		return m.end(now, e.Kind == Interrupt)
	}
	return m.overdue(now)
}

func (m *Machine) start(now time.Time) []Action {
	m.running, m.killed, m.hits, m.misses, m.needHits = true, false, 0, 0, 1
	m.firstHit, m.startedAt = time.Time{}, now
	return []Action{{Do: Start}}
}

func (m *Machine) hit(now time.Time, alone bool) []Action {
	if !m.running {
		return nil // the answer of a cache that has ended since
	}
	m.answered, m.misses, m.pathMisses = true, 0, 0
	m.hits++
	if m.firstHit.IsZero() {
		m.firstHit = now
	}
	if m.installed || m.ending || m.hits < m.needHits || now.Before(m.blockedUntil) || alone && now.Sub(m.firstHit) < UpstreamWait {
		return nil
	}
	m.installed, m.installedAt = true, now
	return []Action{{Do: Install}}
}

func (m *Machine) miss() []Action {
	m.hits = 0
	m.misses++
	if m.misses < MissesToFlip {
		return nil
	}
	m.needHits = HitsToReturn
	return m.remove(CacheStuck)
}

// blocked takes the rules out of the kernel for a while.
func (m *Machine) blocked(now time.Time) []Action {
	m.hits, m.pathMisses, m.needHits = 0, 0, HitsToReturn
	if !m.installed {
		return nil
	}
	if now.Sub(m.installedAt) >= MaxBlocked {
		m.pause = 0
	}
	m.pause = min(max(2*m.pause, MinBlocked), MaxBlocked)
	m.blockedUntil = now.Add(m.pause)
	return m.remove(Unreachable)
}

// remove takes the rules out of the kernel if they are installed.
func (m *Machine) remove(why Reason) []Action {
	if !m.installed {
		return nil
	}
	m.installed = false
	return []Action{{Do: Remove, Reason: why}}
}

func (m *Machine) exited(now time.Time, code int) []Action {
	m.running = false
	actions := m.remove(CacheExited)
	switch {
	case m.ending:
		return append(actions, Action{Do: Exit})
	case !m.answered:
		if code < 0 {
			code = 1
		}
		return append(actions, Action{Do: Exit, Code: code}) // 0 after --test
	}
	if !m.firstHit.IsZero() && now.Sub(m.firstHit) >= Settled {
		m.backoff = 0
	}
	m.backoff = min(max(2*m.backoff, FirstBackoff), MaxBackoff)
	m.restartAt = now.Add(m.backoff)
	if m.backoff > HoldLimit {
		actions = append(actions, Action{Do: Release})
	}
	return actions
}

func (m *Machine) end(now time.Time, atOnce bool) []Action {
	actions := m.remove(Stopping)
	lameduck := m.Lameduck
	switch {
	case !m.running:
		m.ending = true
		return append(actions, Action{Do: Exit})
	case m.ending && !atOnce:
		return nil
	case atOnce:
		lameduck = 0
	}
	m.ending = true
	m.killAt = now.Add(lameduck + ExitGrace)
	// When the cache closes its sockets, no others may remain that nobody reads.
	return append(actions, Action{Do: Release}, Action{Do: Term})
}

// overdue returns the actions that are due because time has passed.
func (m *Machine) overdue(now time.Time) []Action {
	switch {
	case !m.running && !m.ending && m.answered && !now.Before(m.restartAt):
		return m.start(now)
	case m.running && !m.killed && m.ending && !now.Before(m.killAt),
		m.running && !m.killed && !m.ending && m.stuck(now):
		m.killed = true
		return []Action{{Do: Kill}}
	}
	return nil
}

// stuck reports whether the running cache is not expected to answer any more.
func (m *Machine) stuck(now time.Time) bool {
	return m.misses >= MissesToKill || m.firstHit.IsZero() && now.Sub(m.startedAt) >= StartLimit
}
