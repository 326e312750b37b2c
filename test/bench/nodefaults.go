package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/bench/load"
)

// restartAfter is the least time that the kubelet takes to start a container again.
const restartAfter = time.Second

// faultTime is how long queries are sent around a fault, one each millisecond.
const faultTime = 4 * time.Second

// faultRounds is the most often that each fault is caused.
const faultRounds = 3

// nodeFault is what happens to a node's cache.
type nodeFault struct {
	name  string
	do    func(ctx context.Context, n *nodeRun) error
	local bool // the queries are for the cache's own address, otherwise for the Service's
}

// nodeRun is a running cache of one kind.
type nodeRun struct {
	*session
	peer
	dir   string
	now   *process
	older []*process
}

// begin starts the next instance and waits until it answers at its own address. At the
// Service's address, cluster DNS would answer too.
func (n *nodeRun) begin(ctx context.Context) error {
	argv, err := n.argv(n.dir, n.at)
	if err != nil {
		return err
	}
	names, err := load.NewPattern(nodeNames, 1)
	if err != nil {
		return err
	}
	p, err := launch(ctx, n.name, n.dir, argv, load.Config{
		Server: netip.MustParseAddrPort(nodeAddress + ":53"), Questions: names, Within: n.node.do,
	})
	if err == nil {
		p.family, n.now = n.family, p
	}
	return err
}

// nodeFaults counts the queries that are lost, without a retry, when a cache is killed and
// when it is replaced. The test acts as the kubelet: it starts a killed container again after
// a second. dnscache does not need that, because its own supervisor restarts it. In an update
// of dnscache, the next Pod answers before the first is told to end (maxSurge); NodeLocal
// DNSCache removes its rules and its link and ends, and only then the next one is started.
func (s *session) nodeFaults(ctx context.Context, root string, peers []peer) error {
	lines := []string{"fault\taddress\tserver\tasked\tlost\tleast\tmost\tfirst to last"}
	type verdict struct {
		what string
		asking
		none bool // none may be lost; otherwise 2 of 2000
	}
	var judged []verdict
	for _, p := range peers {
		run := &nodeRun{session: s, peer: p, dir: filepath.Join(root, p.name)}
		kill, update := killCache, surge
		if p.name == "NodeLocal" {
			kill, update = killNodeLocal, replaceNodeLocal
		}
		for _, f := range []nodeFault{{"killed", kill, false}, {"killed", kill, true}, {"updated", update, false}, {"updated", update, true}} {
			rounds := make([]asking, 0, faultRounds)
			for range min(s.settings.rounds, faultRounds) {
				a, err := run.suffer(ctx, f)
				if err != nil {
					return fmt.Errorf("%s %s: %w", run.name, f.name, err)
				}
				rounds = append(rounds, a)
			}
			slices.SortFunc(rounds, func(a, b asking) int { return a.lost - b.lost })
			mid := rounds[len(rounds)/2]
			lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%d\t%d\t%v", f.name, where(f), run.name, mid.asked, mid.lost,
				rounds[0].lost, rounds[len(rounds)-1].lost, mid.last.Sub(mid.first).Round(time.Millisecond)))
			if run.name == "dnscache" {
				judged = append(judged, verdict{"dnscache " + f.name + ", lost at " + where(f), mid, f.name == "updated"})
			}
		}
	}
	s.table("on a node: queries lost without a retry, one each millisecond, median", lines...)
	for _, v := range judged {
		most := 0.0
		if !v.none {
			most = float64(v.asked) / 1000
		}
		s.judge(v.what, float64(v.lost), most, "")
	}
	return nil
}

func where(f nodeFault) string {
	if f.local {
		return "its own address"
	}
	return "the Service's"
}

// suffer sends queries while the fault f happens.
func (n *nodeRun) suffer(ctx context.Context, f nodeFault) (asking, error) {
	if err := n.begin(ctx); err != nil {
		return asking{}, err
	}
	defer func() {
		n.now.stop()
		for _, p := range n.older {
			p.stop()
		}
		n.older = nil
		time.Sleep(2 * time.Second) // a cache outlasts its supervisor by a second
	}()
	server := nodeService
	if f.local {
		server = nodeAddress
	}
	asked := make(chan asking, 1)
	go func() { asked <- n.askEach(ctx, server) }()
	time.Sleep(faultTime / 5)
	if err := f.do(ctx, n); err != nil {
		return asking{}, err
	}
	return <-asked, nil
}

// asking is the result of askEach.
type asking struct {
	asked, lost int
	first, last time.Time // when lost ones were sent
}

// askEach sends a query every millisecond, each from its own socket.
func (n *nodeRun) askEach(ctx context.Context, server string) (a asking) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(faultTime); time.Now().Before(end) && ctx.Err() == nil; {
		sent := <-tick.C
		a.asked++
		wg.Go(func() {
			q := new(dns.Msg).SetQuestion("n0.default.svc.cluster.local.", dns.TypeA)
			if m, err := n.ask(q, server); err == nil && len(m.Answer) == 1 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			a.lost++
			if a.first.IsZero() || sent.Before(a.first) {
				a.first = sent
			}
			if sent.After(a.last) {
				a.last = sent
			}
		})
	}
	wg.Wait()
	return a
}

// ask sends one query and waits two seconds for the answer.
func (n *nodeRun) ask(q *dns.Msg, server string) (m *dns.Msg, err error) {
	c, conn := &dns.Client{Timeout: 2 * time.Second}, (*dns.Conn)(nil)
	err = n.node.do(func() (err error) {
		conn, err = c.Dial(net.JoinHostPort(server, "53"))
		return err
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	m, _, err = c.ExchangeWithConn(q, conn)
	return m, err
}

// killCache kills the process that answers.
func killCache(_ context.Context, n *nodeRun) error {
	family, err := n.now.members()
	if err != nil {
		return err
	}
	if len(family) != 2 {
		return fmt.Errorf("%d processes, want the supervisor and one more", len(family))
	}
	return syscall.Kill(family[1], syscall.SIGKILL)
}

// surge starts another cache beside the first, and then tells the first to end.
func surge(ctx context.Context, n *nodeRun) error {
	old := n.now
	n.older = append(n.older, old)
	if err := n.begin(ctx); err != nil {
		return err
	}
	time.Sleep(restartAfter / 2)
	return old.cmd.Process.Signal(syscall.SIGTERM)
}

// killNodeLocal kills NodeLocal DNSCache, whose rules stay.
func killNodeLocal(ctx context.Context, n *nodeRun) error {
	n.now.stop()
	return n.again(ctx)
}

// replaceNodeLocal tells NodeLocal DNSCache to end.
func replaceNodeLocal(ctx context.Context, n *nodeRun) error {
	if err := n.node.shell(ctx, removeTheirRules); err != nil {
		return err
	}
	if err := n.now.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-n.now.gone:
		n.now.gone <- err
	case <-time.After(10 * time.Second):
		return errors.New("it does not end")
	}
	return n.again(ctx)
}

// again restarts NodeLocal DNSCache as the kubelet would.
func (n *nodeRun) again(ctx context.Context) error {
	time.Sleep(restartAfter)
	err := n.node.do(func() error {
		_, err := net.InterfaceByName("nodelocaldns")
		return err
	})
	if err == nil {
		return n.begin(ctx)
	}
	if err := n.node.shell(ctx, theirLink); err != nil {
		return err
	}
	if err := n.begin(ctx); err != nil {
		return err
	}
	return n.node.shell(ctx, addTheirRules)
}
