package kubewatch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/internal/collect"
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
	synced, clusterSet, connected, lastHeard, objects, skipped, failures, lists collect.Metric
	set                                                                         collect.Set // of these
}

// newMetrics registers the metrics of w with reg, which may be nil.
func newMetrics(reg prometheus.Registerer, w *Watcher) *metrics {
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
		set: collect.Set{Prefix: "kubedns_kubernetes_"},
	}
	set := &m.set
	m.synced = set.Gauge("synced", "1 once every list has been received and its records are served.")
	m.clusterSet = set.Gauge("clusterset_synced", "1 once every ServiceImport has been received and its records are served. Only with --clusterset-domain.")
	m.connected = set.Gauge("connected", "1 while the last request for the resource succeeded.", "resource")
	m.lastHeard = set.Gauge("last_heard_timestamp_seconds", "Time at which the API server last sent a list, an event or a bookmark.", "resource")
	m.objects = set.Gauge("objects", "Objects kept in memory.", "kind")
	m.skipped = set.Gauge("skipped_pieces", "Invalid parts of Services, ServiceImports and EndpointSlices that are left out of answers.")
	m.failures = set.Counter("request_failures_total", "List and watch requests that failed.", "resource")
	m.lists = set.Counter("lists_total", "Complete lists received.", "resource")
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
	m.set.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.rebuilds.Collect(ch)
	m.buildTime.Collect(ch)
	m.latency.Collect(ch)
	s := m.watcher.Status()
	m.synced.Send(ch, collect.Flag(s.Synced))
	m.objects.Send(ch, float64(s.Services), "service")
	m.objects.Send(ch, float64(s.Slices), "endpointslice")
	m.objects.Send(ch, float64(s.Endpoints), "endpoint")
	skipped, resources := s.SkippedPieces, s.Resources
	if c := s.ClusterSet; c != nil {
		m.clusterSet.Send(ch, collect.Flag(c.Synced))
		m.objects.Send(ch, float64(c.Imports), "serviceimport")
		skipped += c.SkippedPieces
		resources = append(resources, c.Resource)
	}
	m.skipped.Send(ch, float64(skipped))
	if c := m.watcher.configMap.Load(); c != nil {
		resources = append(resources, c.Status())
	}
	for _, r := range resources {
		m.connected.Send(ch, collect.Flag(r.Connected), r.Resource)
		if !r.LastHeard.IsZero() {
			m.lastHeard.Send(ch, float64(r.LastHeard.UnixMilli())/1000, r.Resource)
		}
		m.failures.Send(ch, float64(r.Failures), r.Resource)
		m.lists.Send(ch, float64(r.Lists), r.Resource)
	}
}
