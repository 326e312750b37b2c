package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kube-dns/kube-dns/test/bench/objects"
)

const (
	costRate = 400 // changes per second
	// costTime is how long one round takes. kubedns rebuilds a part of all Services every 5
	// s, and so once in each round.
	costTime = 5 * time.Second
)

// costTarget is one cluster size in the comparison of the cost of a change.
type costTarget struct {
	row // perOne is the processor time for a change
	*process
	cluster *apiCluster
	root    string
	idle    time.Duration // processor time in costTime without changes
}

func (t *costTarget) close() {
	if t.process != nil {
		t.stop()
	}
	t.cluster.front.Stop()
	os.RemoveAll(t.root)
}

// changeCost compares the cost of one change for kubedns in a small and in a large cluster
// with equal Services.
func (s *session) changeCost(ctx context.Context) error {
	var targets []*costTarget
	defer func() {
		for _, t := range targets {
			t.close()
		}
	}()
	for _, n := range []int{10, 100_000} {
		fmt.Fprintf(s.stderr, "change: starting with %d Services\n", n)
		c, root, err := s.openAlone(objects.Cluster{Services: n, Endpoints: 3 * n})
		if err != nil {
			return err
		}
		t := &costTarget{row: row{name: fmt.Sprint(n)}, cluster: c, root: root}
		targets = append(targets, t)
		t.process, err = c.launch(ctx, root, s.programs.kubednsOn(c.front.URL()))
		if err != nil || t.process == nil {
			return err
		}
		if _, err := settle(ctx, t.process); err != nil {
			return err
		}
	}
	for _, t := range targets {
		used, err := t.during(ctx, 0)
		if err != nil {
			return err
		}
		t.idle = used
	}
	for round := range s.settings.rounds {
		fmt.Fprintf(s.stderr, "change: round %d of %d\n", round+1, s.settings.rounds)
		for _, t := range targets {
			used, err := t.during(ctx, costRate)
			if err != nil {
				return err
			}
			t.perOne = append(t.perOne, (used-t.idle)/time.Duration(costRate*costTime.Seconds()))
		}
	}
	lines := []string{"Services\tµs\tlowest\thighest"}
	for _, t := range targets {
		lines = append(lines, fmt.Sprintf("%s\t%.1f\t%.1f\t%.1f", t.row.name, micros(median(t.perOne)),
			micros(slices.Min(t.perOne)), micros(slices.Max(t.perOne))))
	}
	s.table(fmt.Sprintf("one change: CPU of kubedns, median of %d rounds, without what it takes at rest", s.settings.rounds), lines...)
	s.judge("100 000 Services / 10", ratio(median(targets[1].perOne), median(targets[0].perOne)), 1.15, "")
	return nil
}

// during returns the processor time that the process uses in costTime, while the cluster
// changes at a rate.
func (t *costTarget) during(ctx context.Context, rate float64) (time.Duration, error) {
	before, err := t.cpu()
	if err != nil {
		return 0, err
	}
	began, written := time.Now(), 0
	for {
		elapsed := min(time.Since(began), costTime)
		for ; written < int(elapsed.Seconds()*rate); written++ {
			t.cluster.change(t.cluster.nth(t.cluster.changes))
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if elapsed == costTime {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // the last ones are being built
	after, err := t.cpu()
	return after - before, err
}
