package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/apiserver"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// Budgets for kubedns with 10 000 Services and 100 000 endpoints, in MiB.
const (
	settledBudget = 40
	peakBudget    = 64
)

// TestMemory holds kubedns to its memory budget: after the start, and through
// a relist, which a restarted API server asks for.
func TestMemory(t *testing.T) {
	size := objects.Cluster{Services: 10_000, Endpoints: 100_000}
	for _, streams := range []bool{true, false} {
		t.Run(fmt.Sprintf("streams=%t", streams), func(t *testing.T) {
			api := apiserver.New()
			api.SetStreams(streams)
			size.Fill(api)
			front, err := apiserver.Open(api)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(front.Stop)
			lists := func() int { return api.Stats().Lists + api.Stats().Streamed }
			d := start(t, "release/kubedns", nil, "--kube-master-url="+front.URL())
			d.waitReady(t)
			last := size.Services - 1
			d.want(t, objects.FullName(last), dns.TypeA, "NOERROR", "A "+objects.ClusterIP(last))
			d.settle(t, "after the start")
			if n := lists(); n != 2 {
				t.Errorf("%d lists were asked for, want 2", n)
			}
			api.Forget()
			eventually(t, time.Minute, func() bool { return lists() >= 4 }, func() string { return "no relist" })
			d.want(t, objects.FullName(last), dns.TypeA, "NOERROR", "A "+objects.ClusterIP(last))
			d.settle(t, "after a relist")
			if peak := d.memory(t, "VmHWM"); peak > peakBudget {
				t.Errorf("peak %.1f MiB, want at most %d", peak, peakBudget)
			}
			d.end(t)
		})
	}
}

// settle waits until the resident memory is within the budget.
func (d *kubedns) settle(t *testing.T, when string) {
	t.Helper()
	var now float64
	eventually(t, 90*time.Second, func() bool {
		now = d.memory(t, "VmRSS")
		return now <= settledBudget
	}, func() string { return fmt.Sprintf("%s: resident %.1f MiB, want at most %d", when, now, settledBudget) })
	t.Logf("%s: resident %.1f MiB, peak %.1f MiB", when, now, d.memory(t, "VmHWM"))
}

// memory returns a value of /proc/PID/status in MiB.
func (d *kubedns) memory(t *testing.T, field string) float64 {
	t.Helper()
	d.Running(t)
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	t.Fatalf("no %s in\n%s", field, content)
	return 0
}
