package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// largest measures kubedns's memory in the largest cluster that Kubernetes
// supports: 5 000 nodes, 10 000 Services and, with 100 pods on each node,
// 500 000 endpoints.
func (s *session) largest(ctx context.Context) error {
	size := clusterSize{"memory", objects.Cluster{Services: 10_000, Endpoints: 500_000}, 128, 0}
	c, root, err := s.openAlone(size.Cluster)
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	defer c.front.Stop()
	fmt.Fprintf(s.stderr, "memory: %v\n", size.Cluster)
	p, err := c.launch(ctx, root, s.programs.kubednsOn(c.front.URL()))
	if err != nil || p == nil {
		return err
	}
	defer p.stop()
	server := &clusterServer{process: p, peer: peer{name: "kubedns"}, first: []time.Duration{p.took}}
	if server.settled, err = settle(ctx, p); err != nil {
		return err
	}
	if server.atStart, err = p.peak(); err != nil {
		return err
	}
	r := &clusterRun{session: s, apiCluster: c, size: size, root: root, servers: []*clusterServer{server}}
	return r.memory(ctx)
}

// openAlone returns a cluster for kubedns alone, and a folder for it.
func (s *session) openAlone(size objects.Cluster) (*apiCluster, string, error) {
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return nil, "", err
	}
	c, err := openCluster(size)
	if err != nil {
		os.RemoveAll(root)
		return nil, "", err
	}
	return c, root, nil
}
