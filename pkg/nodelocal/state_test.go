package nodelocal

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kube-dns/kube-dns/pkg/nodelocal/policy"
)

// TestState: the state that is sent appears in the metrics. A cache that does not read cannot
// block its supervisor, and gets complete states afterwards.
func TestState(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	s := state{Installed: 1}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10000 { // far more than a pipe holds
			s.CheckFailures++
			s.send(write)
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("sending waits for the cache")
	}
	n := new(Node)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		n.follow(read)
	}()
	s.Restarts = 3
	s.flipped(policy.CacheStuck)
	s.flipped(policy.Unreachable)
	s.flipped(policy.Unreachable)
	value := func(name string) float64 {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(n)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name {
					total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
		return total
	}
	for begin := time.Now(); value("dnscache_node_local_restarts_total") != 3; time.Sleep(time.Millisecond) {
		s.send(write)
		if time.Since(begin) > 30*time.Second {
			t.Fatal("the state does not arrive")
		}
	}
	for name, want := range map[string]float64{
		"dnscache_node_local_rules_installed": 0, "dnscache_node_local_flips_total": 3, "dnscache_node_local_check_failures_total": 10000,
	} {
		if got := value(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := testutil.CollectAndCount(n); got != 7 {
		t.Errorf("%d series", got)
	}
	if got := testutil.CollectAndCount((*Node)(nil)); got != 0 {
		t.Errorf("%d series without a supervisor", got)
	}
	write.Close()
	<-followed
	if _, err := read.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestReasons: each reason of the policy is a value of the metric's label.
func TestReasons(t *testing.T) {
	for _, r := range []policy.Reason{policy.CacheExited, policy.CacheStuck, policy.Stopping, policy.Unreachable} {
		var s state
		if s.flipped(r); s == (state{}) {
			t.Errorf("a flip because of %s is not counted", r)
		}
	}
}

// TestLimits: a cache on a large node has no more threads and sockets than on a small one. The
// cache, the supervisor and a probe fit the container. What the operator sets holds.
func TestLimits(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	t.Setenv("GOMEMLIMIT", "")
	for _, row := range []struct {
		cpus   int
		memory int64
		want   string
	}{
		{2, 0, ""},
		{8, 0, ""},
		{9, 0, "GOMAXPROCS=8"},
		{256, 64 << 20, "GOMAXPROCS=8 GOMEMLIMIT=51380224"},
		{1, 16 << 20, "GOMEMLIMIT=11010048"},
	} {
		if got := strings.Join(limits(row.cpus, row.memory), " "); got != row.want {
			t.Errorf("%d CPUs, %d octets: %s, want %s", row.cpus, row.memory, got, row.want)
		}
	}
	t.Setenv("GOMAXPROCS", "100")
	t.Setenv("GOMEMLIMIT", "1GiB")
	if got := limits(256, 64<<20); len(got) > 0 {
		t.Errorf("what is set is replaced by %v", got)
	}
}
