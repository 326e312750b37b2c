package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// clusterset compares what ServiceImports cost kubedns with the cost of as many Services with
// the same addresses, ports and endpoints.
func (s *session) clusterset(ctx context.Context) error {
	size := objects.Cluster{Services: 10_000, Endpoints: 20_000}
	services, err := openCluster(size)
	if err != nil {
		return err
	}
	defer services.front.Stop()
	imports, err := openImports(size)
	if err != nil {
		return err
	}
	defer imports.front.Stop()
	lines := []string{"objects\tsettled MiB\tpeak MiB\tp50 ms\tp99 ms\tnever seen"}
	var settled, slowest []float64
	for _, c := range []*apiCluster{services, imports} {
		name, flags := "Services", []string(nil)
		if c.imports {
			name, flags = "ServiceImports", []string{"--clusterset-domain=" + objects.ImportZone}
		}
		fmt.Fprintf(s.stderr, "clusterset: %d %s\n", size.Services, name)
		used, peak, l, err := s.costOf(ctx, c, flags)
		if err != nil {
			return err
		}
		settled, slowest = append(settled, used), append(slowest, millis(l.quantile(0.99)))
		lines = append(lines, fmt.Sprintf("%s\t%.1f\t%.1f\t%.1f\t%.1f\t%d", name, used, peak, millis(l.quantile(0.5)), millis(l.quantile(0.99)), l.never))
	}
	s.table(fmt.Sprintf("%d Services or as many ServiceImports, %d endpoints: memory of kubedns, and the time from a change to its answer at %d changes/s and %d queries/s",
		size.Services, size.Endpoints, changeRate, clusterRate), lines...)
	s.judge("ServiceImports / Services, settled", settled[1]/settled[0], 1.15, "")
	s.judge("ServiceImports p99", slowest[1], 20, " ms")
	return nil
}

// costOf returns kubedns's resident memory in MiB, both settled and at its peak, and how long
// changes take.
func (s *session) costOf(ctx context.Context, c *apiCluster, flags []string) (settled, peak float64, l latency, err error) {
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return 0, 0, l, err
	}
	defer os.RemoveAll(root)
	p, err := c.launch(ctx, root, s.programs.kubednsOn(c.front.URL(), flags...))
	if err != nil || p == nil {
		return 0, 0, l, errors.Join(err, errors.New("kubedns does not run"))
	}
	defer p.stop()
	used, err := settle(ctx, p)
	if err != nil {
		return 0, 0, l, err
	}
	var questions []objects.Question
	for i := range 1000 {
		questions = append(questions, objects.Question{Name: c.fullName(i * 7 % c.Services), Type: dns.TypeA, Answers: true})
	}
	if c.mix, err = objects.NewMix(questions...); err != nil {
		return 0, 0, l, err
	}
	r := &clusterRun{session: s, apiCluster: c, root: root}
	server := &clusterServer{process: p, peer: peer{name: "kubedns"}, first: []time.Duration{p.took}}
	if l, err = r.measureChanges(ctx, server); err != nil {
		return 0, 0, l, err
	}
	most, err := p.peak()
	return mib(used), mib(most), l, err
}
