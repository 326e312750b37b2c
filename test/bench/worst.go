package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/kube-dns/kube-dns/test/bench/load"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// worstBudget is the processor time, in microseconds, that no packet may cost.
const worstBudget = 200

// worst measures what the most expensive questions cost kubedns in a cluster that tenants
// have filled on purpose.
func (s *session) worst(ctx context.Context) error {
	size := objects.Cluster{Services: 100_000, Endpoints: 100_000}
	c, root, err := s.openAlone(size)
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	defer c.front.Stop()
	fmt.Fprintf(s.stderr, "worst: starting with %v\n", size)
	objects.FillWorst(c.api)
	p, err := c.launch(ctx, root, s.programs.kubednsOn(c.front.URL(), "--federations=fed=example.com"))
	if err != nil || p == nil {
		return err
	}
	defer p.stop()
	if _, err := settle(ctx, p); err != nil {
		return err
	}
	var targets []*target
	for _, kind := range size.WorstKinds() {
		mix, err := objects.NewMix(kind.Questions...)
		if err != nil {
			return err
		}
		t := &target{row: row{name: kind.Name + ", UDP"}, process: p, distinct: len(kind.Questions), ask: load.Config{
			Server: p.addr, Questions: mix, TCP: kind.TCP, Sockets: 4, Window: 4,
			Check: func(_ int, query, answer []byte) bool { return objects.IsReply(query, answer) },
		}}
		if kind.TCP {
			t.row.name = kind.Name + ", TCP"
		}
		targets = append(targets, t)
	}
	rows, err := s.rounds(ctx, "worst", targets, 1000, 4000)
	if err != nil {
		return err
	}
	lines := []string{"packet\tµs\tlowest\thighest\t× ordinary\tnot answered"}
	for _, r := range rows {
		mid := median(r.perOne)
		lines = append(lines, fmt.Sprintf("%s\t%.1f\t%.1f\t%.1f\t%.1f\t%d", r.name, micros(mid), micros(slices.Min(r.perOne)),
			micros(slices.Max(r.perOne)), ratio(mid, median(rows[0].perOne)), r.failed))
	}
	s.table(fmt.Sprintf("worst packet of each kind, %v: CPU per query, median of %d rounds", size, s.settings.rounds), lines...)
	for _, r := range rows[1:] {
		s.judge(r.name, micros(median(r.perOne)), worstBudget, " µs")
	}
	return nil
}
