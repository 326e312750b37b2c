// Package processmetrics exports what every program tells about its own process: the
// Go runtime, the process, and the container's memory limit. Use [Register].
package processmetrics

import (
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kube-dns/kube-dns/pkg/cgroup"
)

// Register adds the metrics of this process to registry. It panics if they are there
// already.
func Register(registry prometheus.Registerer) {
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newLimit(os.DirFS("/")),
	)
}

// RegisterEssential adds the few of them that are needed on each of thousands of nodes: CPU
// time, resident memory, the start, and the memory limit.
func RegisterEssential(registry prometheus.Registerer) {
	registry.MustRegister(
		&chosen{
			from:  collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
			names: []string{"process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"},
		},
		newLimit(os.DirFS("/")),
	)
}

// chosen is some of the metrics of a collector.
type chosen struct {
	from  prometheus.Collector
	names []string
}

// has reports whether a description is that of a chosen metric. The library shows its name in
// no other way.
func (c *chosen) has(d *prometheus.Desc) bool {
	return slices.ContainsFunc(c.names, func(name string) bool {
		return strings.Contains(d.String(), `fqName: "`+name+`"`)
	})
}

// Describe implements [prometheus.Collector].
func (c *chosen) Describe(ch chan<- *prometheus.Desc) {
	pass(ch, c.from.Describe, c.has)
}

// Collect implements [prometheus.Collector].
func (c *chosen) Collect(ch chan<- prometheus.Metric) {
	pass(ch, c.from.Collect, func(m prometheus.Metric) bool { return c.has(m.Desc()) })
}

// pass sends on what produce makes, as far as it is wanted.
func pass[T any](to chan<- T, produce func(chan<- T), wanted func(T) bool) {
	all := make(chan T)
	go func() {
		defer close(all)
		produce(all)
	}()
	for one := range all {
		if wanted(one) {
			to <- one
		}
	}
}

var _ prometheus.Collector = (*chosen)(nil)

// limit reads the container's memory limit at each scrape, because Kubernetes can
// change it while the program runs. Without a limit it exports nothing.
type limit struct {
	root fs.FS
	desc *prometheus.Desc
}

func newLimit(root fs.FS) *limit {
	return &limit{root: root, desc: prometheus.NewDesc("kube_dns_memory_limit_bytes",
		"The container's memory limit, in bytes; absent if there is none. Compare process_resident_memory_bytes.", nil, nil)}
}

// Describe implements [prometheus.Collector].
func (l *limit) Describe(ch chan<- *prometheus.Desc) { ch <- l.desc }

// Collect implements [prometheus.Collector].
func (l *limit) Collect(ch chan<- prometheus.Metric) {
	if n, limited := cgroup.MemoryLimit(l.root); limited {
		ch <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(n))
	}
}

var _ prometheus.Collector = (*limit)(nil)
