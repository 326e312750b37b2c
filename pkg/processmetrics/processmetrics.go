// Package processmetrics exports what every program tells about its own process: the
// Go runtime, the process, and the container's memory limit. Use [Register].
package processmetrics

import (
	"io/fs"
	"os"

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
