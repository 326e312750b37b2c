package nodelocal

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/kube-dns/kube-dns/pkg/netif"
	"github.com/kube-dns/kube-dns/pkg/nodelocal/policy"
)

// startCheckEvery is the period of the checks until a cache gives its first answer.
const startCheckEvery = 50 * time.Millisecond

// repairEvery is how often the addresses are checked where the kernel also reports changes to
// them. The check is then only a precaution, and on a node with many Pods an expensive one.
const repairEvery = 30 * time.Second

// supervisor carries out what the policy decides, and reports events to it. Only the
// goroutine of run uses it.
type supervisor struct {
	cfg     *config        // the command line; read only while it runs
	log     *slog.Logger   // standard error
	machine policy.Machine // decides
	child   *child         // the last cache that was started
	rules   *rules         // for queries; nil when they are not in the kernel
	answers *rules         // for answers; they stay once they have been installed
	link    link           // holds the addresses
	// linked is whether missing addresses are put back; it is true from the first Install on.
	linked bool
	// wanted is whether the policy wants the rules in the kernel. While they cannot be there,
	// the supervisor tries again every second.
	wanted bool
	// linkFault and ruleFault are why the addresses are not on the host, and why the rules are
	// not in the kernel; "" if they are, or were not tried.
	linkFault, ruleFault string
	// noRules is set once the kernel has turned out not to support the table.
	noRules bool
	// state is the current state for the cache's metrics; told is the state last sent to it.
	state, told state
	// answered is whether the running child has answered; only then do failed checks count.
	answered bool
	// waits is whether the running child must reach its upstream servers before the rules are
	// installed.
	waits   bool
	filter  filterWatch  // notices a packet filter that drops queries
	exits   chan exit    // the end of each child
	sockets held         // of the last cache, for the next one
	holds   bool         // whether sockets are held
	handed  chan handed  // sockets of the running child
	asked   chan request // for checks
	checks  chan outcome // of each check
}

// exit is the end of a child, handed are the sockets of one of its addresses, request asks for a
// check, and outcome is the result of a check.
type exit struct {
	child *child
	code  int
}

type handed struct {
	at  netip.AddrPort
	fds []int
}

type request struct {
	child *child
	path  bool // ask at the addresses too
	// upstream is whether to ask about a name that only the upstream servers know.
	upstream bool
}

type outcome struct {
	child *child
	err   error // of the private address
	path  error // of the addresses
	// upstream is the fault of the upstream servers.
	upstream error
}

// supervise runs until the policy ends it, and returns the exit code.
func supervise(ctx context.Context, cfg *config, signals signals, stderr io.Writer) int {
	s := &supervisor{
		cfg:     cfg,
		log:     slog.New(slog.NewTextHandler(stderr, nil)).With("part", "node-local"),
		machine: policy.Machine{Lameduck: cfg.lameduck},
		link:    link{name: cfg.link},
		exits:   make(chan exit, 1),
		sockets: held{},
		handed:  make(chan handed),
		asked:   make(chan request, 1),
		checks:  make(chan outcome, 1),
	}
	if len(cfg.byIPVS) > 0 {
		s.log.Warn("kube-proxy in IPVS mode has addresses, which stay with it; set the kubelet's clusterDNS to an address of this cache",
			"left_out", cfg.byIPVS, "addresses", cfg.addrs)
	}
	if ended := endOrphans(); len(ended) > 0 {
		s.log.Info("ended caches whose supervisor had gone", "pid", ended)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var moved <-chan struct{}
	if watch, err := netif.NewWatch(); err == nil {
		go watch.Run(ctx)
		moved = watch.Changed()
	}
	go s.check(ctx)
	saveMemory()
	cfg.cpus = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(min(2, cfg.cpus)) // one for the checks, which block
	return s.run(signals, moved)
}

func (s *supervisor) run(signals signals, moved <-chan struct{}) int {
	if code, over := s.step(policy.Event{Kind: policy.Begin}); over {
		return code
	}
	check := time.NewTimer(startCheckEvery)
	defer check.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	repaired := time.Now()
	for {
		event := policy.Event{Kind: policy.Tick}
		select {
		case <-signals.term:
			event.Kind = policy.Terminate
		case <-signals.interrupt:
			event.Kind = policy.Interrupt
		case sig := <-s.forwarded(signals):
			if s.machine.Running() {
				_ = s.child.cmd.Process.Signal(sig)
			}
		case <-check.C:
			check.Reset(s.period())
			if s.machine.Running() {
				select {
				case s.asked <- request{s.child, s.rules != nil, s.waits}:
				default: // the one before is not over
				}
			}
		case o := <-s.checks:
			event.Kind = s.judge(o)
			if event.Kind == policy.Miss || event.Kind == policy.PathMiss {
				s.state.CheckFailures++
			}
		case e := <-s.exits:
			event = s.ended(e)
		case h := <-s.handed:
			s.sockets.set(h.at, h.fds)
			if !s.holds {
				s.sockets.release()
			}
		case <-moved:
			event.Kind = s.repair()
		case now := <-tick.C:
			if moved == nil || s.linkFault != "" || now.Sub(repaired) >= repairEvery {
				repaired = now
				event.Kind = s.repair()
			}
			s.install()
			if event.Kind == policy.Tick && s.filtered() {
				event.Kind = policy.Blocked
			}
		}
		if code, over := s.step(event); over {
			return code
		}
	}
}

// ended logs the end of a cache and returns the event.
func (s *supervisor) ended(e exit) policy.Event {
	if e.code == 0 { // as it was told to, or after --test
		s.log.Info("the cache has ended", "pid", e.child.cmd.Process.Pid)
	} else {
		s.log.Warn("the cache has ended", "pid", e.child.cmd.Process.Pid, "code", e.code)
	}
	return policy.Event{Kind: policy.Exited, Code: e.code}
}

// forwarded returns the signals for the cache, or nil while it is starting: SIGHUP would end a
// cache that does not handle it yet. Such signals wait until the cache answers.
func (s *supervisor) forwarded(signals signals) <-chan os.Signal {
	if s.machine.Running() && !s.answered {
		return nil
	}
	return signals.forCache
}

func (s *supervisor) period() time.Duration {
	if s.answered && !s.waits {
		return policy.CheckEvery
	}
	return startCheckEvery
}

// check carries out the checks that s.asked requests. It is one goroutine that lives as long
// as the supervisor, because a new goroutine for each check would have to grow its stack each
// time.
func (s *supervisor) check(ctx context.Context) {
	for {
		var r request
		select {
		case r = <-s.asked:
		case <-ctx.Done():
			return
		}
		o := outcome{child: r.child, err: ask(r.child.private, policy.CheckPatience)}
		for _, addr := range s.cfg.addrs {
			if r.path && o.err == nil && o.path == nil {
				o.path = reach(netip.AddrPortFrom(addr, dnsPort), policy.CheckPatience)
			}
		}
		if r.upstream && o.err == nil {
			name, _, _ := strings.Cut(s.cfg.upstream, "#") // without the port
			o.upstream = askUpstream(r.child.private, name, policy.CheckPatience)
		}
		select {
		case s.checks <- o:
		case <-ctx.Done():
			return
		}
	}
}

// filtered reports whether the host's packet filters drop all queries from other hosts and
// Pods.
func (s *supervisor) filtered() bool {
	if s.rules == nil {
		return false
	}
	now, err := s.rules.count()
	return err == nil && s.filter.drops(now)
}

// judge turns the outcome of a check into an event.
func (s *supervisor) judge(o outcome) policy.Kind {
	switch {
	case o.child != s.child:
		return policy.Tick // of a cache that has ended
	case o.err != nil && !s.answered:
		return policy.Tick // the cache is still starting
	case o.err != nil:
		return policy.Miss
	case o.path != nil && s.rules != nil:
		return policy.PathMiss
	}
	if !s.answered && s.state.Restarts == 0 { // not sooner: portOwner needs more rights
		limitCapabilities(supervisorCaps)
	}
	s.answered = true
	if o.upstream != nil {
		return policy.Alone
	}
	return policy.Hit
}

// step passes an event to the policy and carries out its actions. over reports that the
// program must end, with the exit code code.
func (s *supervisor) step(e policy.Event) (code int, over bool) {
	defer s.tellCache()
	for _, a := range s.machine.Step(time.Now(), e) {
		switch a.Do {
		case policy.Start:
			if err := s.start(); err != nil {
				s.log.Error("cannot start the cache", "error", err)
				return s.step(policy.Event{Kind: policy.Exited, Code: exitConfig})
			}
		case policy.Install:
			s.linked, s.wanted, s.waits = true, true, false
			if s.repair() == policy.Terminate {
				return s.step(policy.Event{Kind: policy.Terminate})
			}
			s.install()
		case policy.Remove:
			s.remove(a.Reason)
		case policy.Release:
			s.holds = false
			s.sockets.release()
		case policy.Term:
			_ = s.child.cmd.Process.Signal(syscall.SIGTERM)
		case policy.Kill:
			s.log.Warn("killing the cache, which does not answer", "pid", s.child.cmd.Process.Pid)
			_ = s.child.cmd.Process.Kill()
		case policy.Exit:
			if a.Code == exitNetwork {
				if owner := portOwner(s.cfg.addrs); owner != "" {
					s.log.Error("the port is taken", "owner", owner)
				}
			}
			return a.Code, true
		}
	}
	return 0, false
}

// tellCache sends the state to the cache if it has changed.
func (s *supervisor) tellCache() {
	if s.state != s.told && s.machine.Running() && s.child != nil {
		s.told = s.state
		s.state.send(s.child.pipe)
	}
}

func (s *supervisor) start() (err error) {
	s.answered, s.holds, s.waits = false, true, s.cfg.upstream != ""
	if s.child != nil {
		s.state.Restarts++
	}
	s.child, err = startChild(s.cfg, s.sockets, watcher{
		exited: func(c *child, code int) { s.exits <- exit{c, code} },
		handed: func(at netip.AddrPort, fds []int) { s.handed <- handed{at, fds} },
	})
	if err == nil {
		s.told = state{} // a new cache has not been told anything
		s.log.Info("started the cache", "pid", s.child.cmd.Process.Pid, "addresses", s.cfg.addrs)
	}
	return err
}

// install puts the rules into the kernel if the policy wants them there, all addresses are on
// the host, and the kernel supports rules that end with this process.
func (s *supervisor) install() {
	if !s.wanted || s.rules != nil || s.noRules || s.linkFault != "" {
		return
	}
	var err error
	if s.answers == nil {
		s.answers, err = installRules(s.cfg.addrs, answers)
	}
	if err == nil {
		s.rules, err = installRules(s.cfg.addrs, queries)
	}
	switch {
	case err == nil:
		s.state.Installed, s.filter, s.ruleFault = 1, filterWatch{}, ""
		s.log.Info("queries come to this cache", "table", s.rules.name)
	case errors.Is(err, errNoOwner), errors.Is(err, syscall.EPERM):
		s.noRules, s.state.NoRules = true, 1
		s.log.Warn("no rules: only clients that ask an address of this cache itself, not that of a Service, use it", "reason", err)
	case err.Error() != s.ruleFault:
		s.ruleFault = err.Error()
		s.log.Error("cannot lead queries to this cache; trying again every second", "error", err)
	}
}

func (s *supervisor) remove(why policy.Reason) {
	s.wanted = false
	if s.rules == nil {
		return
	}
	s.rules.remove()
	s.rules = nil
	s.state.flipped(why)
	if why == policy.Unreachable {
		s.log.Warn("queries go to cluster DNS: the cache answers, but not at its addresses; if the host drops packets by default, it must accept UDP and TCP port 53 to them", "addresses", s.cfg.addrs)
		return
	}
	s.log.Warn("queries go to cluster DNS", "reason", string(why))
}

// repair puts the link and the addresses back if they are missing. It returns
// [policy.Terminate] if kube-proxy has taken over one of them, as on a node where it starts in
// IPVS mode after this cache. The next start leaves that address to it.
func (s *supervisor) repair() policy.Kind {
	if !s.linked {
		return policy.Tick
	}
	list, err := netif.All()
	if taken := inIPVS(list, s.cfg.addrs); len(taken) > 0 {
		s.linked = false
		s.log.Error("kube-proxy in IPVS mode has taken over addresses of this cache, which ends in order to start again without them", "taken", taken)
		return policy.Terminate
	}
	before, changed := s.link.used, false
	if err == nil {
		changed, err = s.link.ensure(list, s.cfg.addrs)
	}
	switch {
	case err != nil:
		if err.Error() != s.linkFault {
			s.linkFault = err.Error()
			s.log.Error("cannot put the addresses on the host; trying again every second", "error", err)
		}
		return policy.Tick
	case changed && before == "" && s.link.used == "lo":
		s.log.Info("this kernel has no dummy links; the addresses are on lo")
	case changed:
		s.log.Info("the addresses are on the host", "interface", s.link.used)
	}
	s.linkFault = ""
	return policy.Tick
}
