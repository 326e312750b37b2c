package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kube-dns/kube-dns/test/bench/load"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// clusterRate is the questions per second of the in-cluster comparisons. It is
// the same for every server and less than the slowest can answer.
const clusterRate = 20_000

// clusterSize is one cluster size and its budgets in MiB; 0 means none.
type clusterSize struct {
	name string
	objects.Cluster
	settled, peak float64
}

func (s *session) clusterSections() []section {
	var list []section
	for _, size := range []clusterSize{
		{"cluster-100", objects.Cluster{Services: 100, Endpoints: 1000}, 0, 0},
		{"cluster-1000", objects.Cluster{Services: 1000, Endpoints: 10_000}, 0, 0},
		{"cluster-10000", objects.Cluster{Services: 10_000, Endpoints: 100_000}, 40, 64},
	} {
		list = append(list, section{size.name, func(ctx context.Context) error { return s.cluster(ctx, size) }})
	}
	return append(list, section{"memory", s.largest}, section{"clusterset", s.clusterset}, section{"autopath", s.autopath}, section{"change", s.changeCost}, section{"worst", s.worst}, section{"node-local", s.nodeLocal})
}

// clusterRun is the comparison for one size of cluster.
type clusterRun struct {
	*session
	*apiCluster
	size    clusterSize
	root    string
	servers []*clusterServer // kubedns first
}

// clusterServer is one server of the comparison, and what was measured of it.
type clusterServer struct {
	*process
	peer
	first    []time.Duration // from start to right answers
	used     []time.Duration // processor time until then
	settled  int64           // octets, after the start
	relisted int64           // octets, after all the relists
	atStart  int64           // peak until settled
}

// cluster compares kubedns and CoreDNS at one cluster size.
func (s *session) cluster(ctx context.Context, size clusterSize) (err error) {
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	c, err := openCluster(size.Cluster)
	if err != nil {
		return err
	}
	defer c.front.Stop()
	r := &clusterRun{session: s, apiCluster: c, size: size, root: root}
	defer func() {
		for _, server := range r.servers {
			server.stop()
		}
	}()
	for _, step := range []func(context.Context) error{r.startAll, r.compareAnswers, r.queryCost, r.changeLatency, r.memory} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startAll starts each server in each round, and leaves those of the last round running.
// Before that, it makes one start that is not counted, in which the API server encodes its
// objects.
func (r *clusterRun) startAll(ctx context.Context) error {
	p, url := r.programs, r.front.URL()
	unmeasured, err := r.launch(ctx, r.root, p.kubednsOn(url))
	if err != nil || unmeasured == nil {
		return errors.Join(err, errors.New("kubedns does not run"))
	}
	unmeasured.stop()
	peers := []peer{p.kubednsOn(url), p.corednsOn(url)}
	first, used := make([][]time.Duration, len(peers)), make([][]time.Duration, len(peers))
	for round := range r.settings.rounds {
		fmt.Fprintf(r.stderr, "%s: start %d of %d\n", r.size.name, round+1, r.settings.rounds)
		for i, peer := range peers {
			proc, err := r.launch(ctx, r.root, peer)
			if err != nil {
				return err
			}
			if proc == nil {
				continue
			}
			first[i], used[i] = append(first[i], proc.took), append(used[i], proc.used)
			if round < r.settings.rounds-1 {
				proc.stop()
				continue
			}
			server := &clusterServer{process: proc, peer: peer, first: first[i], used: used[i]}
			r.servers = append(r.servers, server)
			if server.settled, err = settle(ctx, proc); err != nil {
				return err
			}
			if server.atStart, err = proc.peak(); err != nil {
				return err
			}
		}
	}
	lines := []string{"server\ts\tlowest\thighest\tCPU s"}
	for _, s := range r.servers {
		lines = append(lines, fmt.Sprintf("%s\t%.2f\t%.2f\t%.2f\t%.2f", s.peer.name, median(s.first).Seconds(),
			slices.Min(s.first).Seconds(), slices.Max(s.first).Seconds(), median(s.used).Seconds()))
	}
	r.table(fmt.Sprintf("%v: from start to first right answer, median of %d", r.Cluster, r.settings.rounds), lines...)
	if len(r.servers) == 2 {
		r.judge("kubedns / CoreDNS", ratio(median(r.servers[0].first), median(r.servers[1].first)), 0.5, "")
	}
	return nil
}

// queryCost compares the processor time per query.
func (r *clusterRun) queryCost(ctx context.Context) error {
	echo, err := r.launch(ctx, r.root, r.programs.echoPeer())
	if err != nil {
		return err
	}
	defer echo.stop()
	base := load.Config{Questions: r.mix, Sockets: r.sockets, Window: r.window, Rate: clusterRate}
	count := len(r.mix.Questions())
	floor := &target{row: row{name: "echo"}, process: echo, ask: base, distinct: count}
	floor.ask.Server = echo.addr
	floor.ask.Check = func(_ int, query, answer []byte) bool { return objects.IsReply(query, answer) }
	targets := []*target{floor}
	for _, s := range r.servers {
		t := &target{row: row{name: s.peer.name}, process: s.process, ask: base, distinct: count}
		t.ask.Server, t.ask.Check = s.addr, r.mix.Right
		targets = append(targets, t)
	}
	sc := scenario{
		name:    r.size.name,
		title:   fmt.Sprintf("%v: mixed questions at %d/s", r.Cluster, clusterRate),
		budgets: []budget{{"kubedns", "echo", 1.3}, {"kubedns", "CoreDNS", 0.3}},
	}
	rows, err := r.rounds(ctx, sc.name, targets, 2000, 48_000)
	if err == nil {
		r.printTable(sc, rows)
	}
	return err
}

// memory makes the servers list everything again, for each possible reason and in each way,
// and prints the memory that they use.
func (r *clusterRun) memory(ctx context.Context) error {
	if err := r.relist(ctx); err != nil {
		return err
	}
	lines := []string{"server\tsettled\tpeak of the start\tafter relists\tpeak of all"}
	var ours []float64
	for _, s := range r.servers {
		peak, err := s.peak()
		if err != nil {
			return err
		}
		line := []float64{mib(s.settled), mib(s.atStart), mib(s.relisted), mib(peak)}
		if ours == nil {
			ours = line
		}
		lines = append(lines, fmt.Sprintf("%s\t%.1f\t%.1f\t%.1f\t%.1f", s.peer.name, line[0], line[1], line[2], line[3]))
	}
	r.table(fmt.Sprintf("%v: resident memory in MiB", r.Cluster), lines...)
	if r.size.settled > 0 {
		r.judge("kubedns settled", max(ours[0], ours[2]), r.size.settled, " MiB")
	}
	if r.size.peak > 0 {
		r.judge("kubedns peak", ours[3], r.size.peak, " MiB")
	}
	return nil
}

// relist ends all watches and makes the clients' versions too old, once with streamed lists
// and once with lists in pages.
func (r *clusterRun) relist(ctx context.Context) error {
	for _, streams := range []bool{true, false} {
		r.api.SetStreams(streams)
		before := r.api.Stats()
		r.api.Forget()
		wanted := 2 * len(r.servers) // Services and slices of each
		for end := time.Now().Add(startLimit); ; {
			now := r.api.Stats()
			if now.Lists+now.Streamed-before.Lists-before.Streamed >= wanted {
				break
			}
			if time.Now().After(end) || ctx.Err() != nil {
				return fmt.Errorf("no relist: %+v, before %+v", now, before)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, s := range r.servers {
			var err error
			if s.relisted, err = settle(ctx, s.process); err != nil {
				return err
			}
		}
	}
	r.api.SetStreams(true)
	return nil
}
