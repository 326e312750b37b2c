package kubewatch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/records"
)

// metrics exports a Watcher to Prometheus. None of its fields change. What
// Watcher.Status returns is read at each scrape.
type metrics struct {
	watcher *Watcher // what is exported

	rebuilds  prometheus.Counter       // rebuilt Services
	buildTime prometheus.Histogram     // seconds from the first event to visible records
	latency   *prometheus.HistogramVec // seconds from a trigger to visible records, by service_kind

	// These describe the values read from Watcher.Status.
	synced, clusterSet, connected, lastHeard, objects, skipped, failures, lists *prometheus.Desc
}

// newMetrics registers the metrics of w with reg, which may be nil.
func newMetrics(reg prometheus.Registerer, w *Watcher) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("kubedns_kubernetes_"+name, help, labels, nil)
	}
	m := &metrics{
		watcher: w,
		rebuilds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubedns_kubernetes_rebuilds_total",
			Help: "Services whose records were rebuilt, resyncs included.",
		}),
		buildTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kubedns_kubernetes_change_seconds",
			Help:    "Time from the first event of a burst until its records are served.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .5, 1, 5},
		}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kubedns_kubernetes_dns_programming_duration_seconds",
			Help: "Time from a change of a Pod or Service, as annotated on the EndpointSlice, until answers reflect it.",
			// From 1 ms to 524 s, doubling: the buckets of CoreDNS, for comparison.
			Buckets: prometheus.ExponentialBuckets(.001, 2, 20),
		}, []string{"service_kind"}),
		synced:     desc("synced", "1 once every list has been received and its records are served."),
		clusterSet: desc("clusterset_synced", "1 once every ServiceImport has been received and its records are served. Only with --clusterset-domain."),
		connected:  desc("connected", "1 while the last request for the resource succeeded.", "resource"),
		lastHeard:  desc("last_heard_timestamp_seconds", "Time at which the API server last sent a list, an event or a bookmark.", "resource"),
		objects:    desc("objects", "Objects kept in memory.", "kind"),
		skipped:    desc("skipped_pieces", "Invalid parts of Services, ServiceImports and EndpointSlices that are left out of answers."),
		failures:   desc("request_failures_total", "List and watch requests that failed.", "resource"),
		lists:      desc("lists_total", "Complete lists received.", "resource"),
	}
	for _, kind := range []string{kindClusterIP, kindHeadless} {
		m.latency.WithLabelValues(kind)
	}
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// Values of service_kind, as Kubernetes' definition of the DNS programming
// latency names them. Only Services with a selector have annotated slices.
const (
	kindClusterIP = "cluster_ip"
	kindHeadless  = "headless_with_selector"
)

// programmed records that since now the answers about a Service reflect the changes
// that happened at triggers.
func (m *metrics) programmed(service *records.Service, triggers []time.Time, now time.Time) {
	if service == nil || service.Kind == records.ExternalName {
		return
	}
	kind := kindClusterIP
	if service.Kind == records.Headless {
		kind = kindHeadless
	}
	for _, t := range triggers { // set by another machine's clock, so possibly later than now
		m.latency.WithLabelValues(kind).Observe(max(now.Sub(t), 0).Seconds())
	}
}

// built records that n Services were rebuilt and became visible d after the first
// event.
func (m *metrics) built(n int, d time.Duration) {
	m.rebuilds.Add(float64(n))
	m.buildTime.Observe(d.Seconds())
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.rebuilds.Describe(ch)
	m.buildTime.Describe(ch)
	m.latency.Describe(ch)
	for _, d := range []*prometheus.Desc{m.synced, m.clusterSet, m.connected, m.lastHeard, m.objects, m.skipped, m.failures, m.lists} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.rebuilds.Collect(ch)
	m.buildTime.Collect(ch)
	m.latency.Collect(ch)
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := m.watcher.Status()
	gauge(m.synced, number(s.Synced))
	gauge(m.objects, float64(s.Services), "service")
	gauge(m.objects, float64(s.Slices), "endpointslice")
	gauge(m.objects, float64(s.Endpoints), "endpoint")
	skipped, resources := s.SkippedPieces, s.Resources
	if c := s.ClusterSet; c != nil {
		gauge(m.clusterSet, number(c.Synced))
		gauge(m.objects, float64(c.Imports), "serviceimport")
		skipped += c.SkippedPieces
		resources = append(resources, c.Resource)
	}
	gauge(m.skipped, float64(skipped))
	if c := m.watcher.configMap.Load(); c != nil {
		resources = append(resources, c.Status())
	}
	for _, r := range resources {
		gauge(m.connected, number(r.Connected), r.Resource)
		if !r.LastHeard.IsZero() {
			gauge(m.lastHeard, float64(r.LastHeard.UnixMilli())/1000, r.Resource)
		}
		ch <- prometheus.MustNewConstMetric(m.failures, prometheus.CounterValue, float64(r.Failures), r.Resource)
		ch <- prometheus.MustNewConstMetric(m.lists, prometheus.CounterValue, float64(r.Lists), r.Resource)
	}
}

// number returns 1 for true and 0 for false.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
