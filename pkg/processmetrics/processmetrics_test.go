package processmetrics

import (
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// The limit is read again at each scrape, and absent when there is none.
func TestMemoryLimit(t *testing.T) {
	const path = "sys/fs/cgroup/memory.max"
	root := fstest.MapFS{path: &fstest.MapFile{Data: []byte("1000000\n")}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newLimit(root))
	for _, tt := range []struct {
		text string
		want float64
	}{{"1000000\n", 1000000}, {"2000000\n", 2000000}, {"max\n", 0}, {"3000000\n", 3000000}} {
		root[path] = &fstest.MapFile{Data: []byte(tt.text)}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := 0.0
		for _, f := range families {
			got = f.GetMetric()[0].GetGauge().GetValue()
		}
		if got != tt.want || len(families) > 1 {
			t.Errorf("%q: %v of %d families, want %v", tt.text, got, len(families), tt.want)
		}
	}
}

func TestRegister(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	Register(registry)
	if n, err := testutil.GatherAndCount(registry, "process_resident_memory_bytes", "process_start_time_seconds", "go_goroutines"); err != nil || n != 3 {
		t.Errorf("%d of 3 metrics, %v", n, err)
	}
}
