package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kube-dns/kube-dns/test/bench/load"
)

// askLimit bounds the time of one run of questions.
const askLimit = 2 * time.Minute

// row is the result of measuring one server.
type row struct {
	name   string
	perOne []time.Duration // processor time per query, one per round
	rss    int64           // octets, at the end
	failed int             // questions not answered rightly, of all rounds
}

// target is a running server and the questions that it is asked.
type target struct {
	row
	*process
	ask      load.Config
	distinct int // questions until they come again; 0: never
}

// measure runs one scenario. All its servers run at once and are asked one after another in
// each round, so that a disturbance of the machine affects all of them.
func (s *session) measure(ctx context.Context, sc scenario) ([]row, error) {
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	var targets []*target
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	for _, peer := range sc.peers {
		t, err := s.start(ctx, sc, root, peer)
		if err != nil {
			return nil, err
		}
		if t != nil {
			targets = append(targets, t)
		}
	}
	return s.rounds(ctx, sc.name, targets, sc.warm, sc.count)
}

// start launches one server; a nil target means that it is left out.
func (s *session) start(ctx context.Context, sc scenario, root string, p peer) (*target, error) {
	dir := filepath.Join(root, p.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	addr := p.at
	if !addr.IsValid() {
		var err error
		if addr, err = freePort(); err != nil {
			return nil, err
		}
	}
	t := &target{
		row: row{name: p.name}, distinct: cmp.Or(p.distinct, sc.distinct),
		ask: load.Config{Server: addr, NoAnswers: p.echo, TCP: sc.tcp, Sockets: s.sockets, Window: s.window, Within: p.node.do},
	}
	argv, err := p.argv(dir, addr)
	if err != nil || argv == nil {
		return nil, err
	}
	probe := t.ask
	if probe.Questions, err = load.NewPattern(sc.pattern, 1); err != nil {
		return nil, err
	}
	if t.ask.Questions, err = load.NewPattern(sc.pattern, t.distinct); err != nil {
		return nil, err
	}
	if t.process, err = launch(ctx, p.name, dir, argv, probe); err != nil {
		return nil, err
	}
	t.family = p.family
	return t, nil
}

// turns is the number of parts into which each target's share of a round is divided; the
// targets take turns. Other work of the machine then affects all of them, and so does chance
// in which socket of a server gets which client.
const turns = 8

// rounds asks every target count questions in each round, and measures what they cost. Before
// the first round it asks warm questions, or as many as there are.
func (s *session) rounds(ctx context.Context, name string, targets []*target, warm, count int) ([]row, error) {
	for _, t := range targets { // later the caches are full
		if _, err := t.run(ctx, 0, max(warm, t.distinct)); err != nil {
			return nil, err
		}
		warm = max(warm, t.distinct)
	}
	asked := warm // number of the next new name; each server is asked for the same
	part := max(int(float64(count)*s.scale)/turns, 1)
	for round := range s.settings.rounds {
		fmt.Fprintf(s.stderr, "%s: round %d of %d\n", name, round+1, s.settings.rounds)
		used, answered := make([]time.Duration, len(targets)), make([]int, len(targets))
		for range turns {
			for i, t := range targets {
				took, r, err := t.measure(ctx, asked, part)
				if err != nil {
					return nil, err
				}
				used[i], answered[i] = used[i]+took, answered[i]+r.Answered
				t.failed += r.Lost + r.Wrong
			}
			asked += part
		}
		for i, t := range targets {
			t.perOne = append(t.perOne, used[i]/time.Duration(max(answered[i], 1)))
		}
	}
	rows := make([]row, 0, len(targets))
	for _, t := range targets {
		var err error
		if t.row.rss, err = t.process.rss(); err != nil {
			return nil, err
		}
		rows = append(rows, t.row)
	}
	return rows, nil
}

// measure returns the processor time that the server takes for count questions.
func (t *target) measure(ctx context.Context, first, count int) (used time.Duration, r load.Result, err error) {
	before, err := t.cpu()
	if err != nil {
		return 0, r, err
	}
	if r, err = t.run(ctx, first, count); err != nil {
		return 0, r, err
	}
	after, err := t.cpu()
	return after - before, r, err
}

// run asks count questions, numbered from first.
func (t *target) run(ctx context.Context, first, count int) (load.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	cfg := t.ask
	cfg.First, cfg.Count = first, count
	r, err := load.Run(ctx, cfg)
	if err != nil {
		err = fmt.Errorf("%s: %w", t.row.name, err)
	}
	return r, err
}
