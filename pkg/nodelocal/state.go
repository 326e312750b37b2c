package nodelocal

import (
	"encoding/binary"
	"io"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/nodelocal/policy"
)

// reasons are all reasons for removing the rules, in the order of state.Flips.
//
//nolint:gochecknoglobals // a constant table
var reasons = [...]policy.Reason{policy.CacheExited, policy.CacheStuck, policy.Stopping, policy.Unreachable}

// state is what the supervisor tells the cache, which shows it in its metrics. The counters
// only grow.
type state struct {
	Installed     uint64               // 1 while the rules are in the kernel
	NoRules       uint64               // 1 if this kernel cannot have them
	Flips         [len(reasons)]uint64 // times that they were removed, by reason
	CheckFailures uint64               // checks without an answer, after the first good one
	Restarts      uint64               // starts of a cache after the first
}

// flipped counts one removal of the rules.
func (s *state) flipped(why policy.Reason) {
	s.Installed = 0
	for i, r := range reasons {
		if r == why {
			s.Flips[i]++
		}
	}
}

// send writes s to a pipe in one piece. It never blocks: if the pipe is full, this state is
// lost and the cache gets a later one.
func (s *state) send(pipe *os.File) {
	b, err := binary.Append(nil, binary.LittleEndian, s)
	if err != nil {
		return
	}
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Write(func(fd uintptr) bool {
		_, _ = unix.Write(int(fd), b) // at most PIPE_BUF: all of it or nothing
		return true
	})
}

// Node holds what the supervisor last told the cache, and exports it as metrics. A nil *Node
// exports nothing. It is safe for concurrent use.
type Node struct {
	inherited Sockets  // of the previous cache
	handOver  *os.File // takes this cache's sockets to the supervisor

	mu    sync.Mutex
	state state
}

// follow reads states from the pipe until the supervisor has ended.
func (n *Node) follow(pipe io.Reader) {
	for {
		var s state
		if binary.Read(pipe, binary.LittleEndian, &s) != nil {
			return
		}
		n.mu.Lock()
		n.state = s
		n.mu.Unlock()
	}
}

// Describe implements [prometheus.Collector].
func (n *Node) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(n, ch) }

// Collect implements [prometheus.Collector].
func (n *Node) Collect(ch chan<- prometheus.Metric) {
	if n == nil {
		return
	}
	n.mu.Lock()
	s := n.state
	n.mu.Unlock()
	one := func(kind prometheus.ValueType, name, help string, value uint64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("dnscache_node_local_"+name, help, nil, nil), kind, float64(value))
	}
	if s.NoRules == 0 {
		one(prometheus.GaugeValue, "rules_installed", "1 while queries for the Service's address come to this cache.", s.Installed)
	}
	one(prometheus.CounterValue, "check_failures_total", "Checks that the cache did not answer in time.", s.CheckFailures)
	one(prometheus.CounterValue, "restarts_total", "Starts of the cache after it had ended.", s.Restarts)
	flips := prometheus.NewDesc("dnscache_node_local_flips_total", "Times that queries were sent back to cluster DNS, by reason.", []string{"reason"}, nil)
	for i, r := range reasons {
		ch <- prometheus.MustNewConstMetric(flips, prometheus.CounterValue, float64(s.Flips[i]), string(r))
	}
}

var _ prometheus.Collector = (*Node)(nil)
