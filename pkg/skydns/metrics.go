package skydns

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/internal/panics"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// system says which part answered; the values of the label "system".
type system uint8

const (
	systemAuth      system = iota // names in the domain, CHAOS, malformed queries
	systemReverse                 // addresses that someone claims
	systemRecursive               // handed to Outside
	systems
)

// source is the system's name as a source of answers.
func (s system) source() string { return [systems]string{"cluster", "reverse", "upstream"}[s] }

// cause says why an answer was not a plain one; the values of "cause".
type cause uint8

const (
	causeNone cause = iota
	causeNXDomain
	causeTruncated // TC set
	causeRefused
	causeOverflow // records left out of an answer over TCP
	causeServFail
	causeOther // FORMERR, NOTIMP, BADVERS
	causes
)

// rcodes is how many rcodes are counted each by themselves, and one for all others.
const rcodes = wire.RcodeRefused + 2

// sampleEvery is how many queries share one reading of the clock: two readings
// for each would cost 2 % of a query.
const sampleEvery = 16

// The buckets are SkyDNS's.
const (
	durationBuckets = 13
	sizeBuckets     = 21
)

func durationBounds() [durationBuckets]float64 {
	return [durationBuckets]float64{0.001, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

func sizeBounds() [sizeBuckets]float64 {
	bounds := [sizeBuckets]float64{0, 512, 1024, 1500, 2048}
	for i := 5; i < sizeBuckets; i++ {
		bounds[i] = float64((i - 4) * 4096)
	}
	return bounds
}

// counters is one shard. Several goroutines may share one; each mostly has its
// own, so that the additions stay cheap.
type counters struct {
	// forwarded counts the queries handed to Outside. Those of the other systems
	// are their answers.
	forwarded     atomic.Uint64
	answers       [systems][rcodes]atomic.Uint64              // answers, by rcode
	cut           [systems][causes]atomic.Uint64              // causeTruncated and causeOverflow
	durations     [systems][durationBuckets + 1]atomic.Uint64 // answers, by bucket of their duration
	durationNanos [systems]atomic.Uint64                      // sum of the durations in nanoseconds
	sizes         [systems][sizeBuckets + 1]atomic.Uint64     // answers, by bucket of their size
	sizeSum       [systems]atomic.Uint64                      // sum of the sizes in octets
	completed     [autopath.Candidates]atomic.Uint64          // names completed, by candidate
	notCompleted  [outcomes]atomic.Uint64                     // names not completed, by reason
	_             [64]byte                                    // keeps neighbours off the last cache line
}

// observeSize counts one reply of n octets.
func (c *counters) observeSize(s system, n int) {
	bucket := 0
	switch {
	case n <= 512: // n is never 0
		bucket = 1
	case n <= 1024:
		bucket = 2
	case n <= 1500:
		bucket = 3
	case n <= 2048:
		bucket = 4
	default:
		bucket = min(5+(n-1)/4096, sizeBuckets)
	}
	c.sizes[s][bucket].Add(1)
	c.sizeSum[s].Add(uint64(n))
}

// observeDuration counts n queries that took about d each.
func (c *counters) observeDuration(s system, d time.Duration, n uint64) {
	seconds := d.Seconds()
	bounds := durationBounds()
	bucket := 0
	for bucket < durationBuckets && seconds > bounds[bucket] {
		bucket++
	}
	c.durations[s][bucket].Add(n)
	c.durationNanos[s].Add(uint64(max(d, 0)) * n)
}

// observeOutside counts an answer of Outside for which its client waited took.
func (c *counters) observeOutside(took time.Duration, reply []byte) {
	c.observeDuration(systemRecursive, took, 1)
	c.observeSize(systemRecursive, len(reply))
	flags := wire.Flags(reply)
	c.answers[systemRecursive][min(wire.Rcode(flags), rcodes-1)].Add(1)
	if flags&wire.FlagTC != 0 {
		c.cut[systemRecursive][causeTruncated].Add(1)
	}
}

// metrics holds the shards, and is the collector that adds them up at scrape.
type metrics struct {
	shards []counters    // the counters
	next   atomic.Uint32 // number of the shard of the next worker

	recovered panics.Log // panics while answering

	requests, errors, misses, panics *prometheus.Desc // describe the metrics of kube-dns
	answers                          *prometheus.Desc // describes the metric of answers by source and rcode
	completed, notCompleted          *prometheus.Desc // describe the metrics of package autopath
	duration, size                   *prometheus.Desc // describe the histograms
}

// newMetrics registers the families with reg under namespace and subsystem; nil
// registers nothing, and everything still counts.
func newMetrics(reg prometheus.Registerer, namespace, subsystem string) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil)
	}
	m := &metrics{
		shards:   make([]counters, 2*runtime.GOMAXPROCS(0)),
		requests: desc("dns_request_count_total", "Queries, by what answered them.", "system"),
		duration: desc("dns_request_duration_seconds",
			"Time from query to reply, in seconds; of the queries that are not forwarded, one in 16 is measured.", "system"),
		size:    desc("dns_response_size_bytes", "Size of replies in bytes.", "system"),
		errors:  desc("dns_error_count_total", "Replies that report an error or are truncated, by cause.", "system", "cause"),
		misses:  desc("dns_cachemiss_count_total", "Queries answered from kubedns's own data; there is no cache of replies that could be hit.", "cache"),
		answers: prometheus.NewDesc("kubedns_answers_total", "Answers to clients, by where they came from and by rcode.", []string{"source", "rcode"}, nil),
		completed: prometheus.NewDesc("kubedns_autopath_completed_total",
			"Answers for names that were completed as by a search list, by the name that answered.", []string{"candidate"}, nil),
		notCompleted: prometheus.NewDesc("kubedns_autopath_not_completed_total",
			"Names that do not exist and were not completed, by reason.", []string{"reason"}, nil),
		panics: desc("dns_panic_count_total", "Queries whose handling crashed; they were answered with SERVFAIL."),
	}
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// shard returns a shard for a new user.
func (m *metrics) shard() *counters {
	return &m.shards[int(m.next.Add(1))%len(m.shards)]
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.duration, m.size, m.errors, m.misses, m.panics, m.answers, m.completed, m.notCompleted} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	var misses uint64
	for s, label := range [systems]string{"auth", "reverse", "recursive"} {
		requests := m.collectAnswers(counter, system(s), label)
		if system(s) != systemRecursive {
			misses += requests
		}
		bounds := durationBounds()
		counts := m.buckets(len(bounds), func(c *counters, i int) uint64 { return c.durations[s][i].Load() })
		seconds := time.Duration(m.sum(func(c *counters) uint64 { return c.durationNanos[s].Load() })).Seconds()
		histogram(ch, m.duration, label, buckets{bounds[:], counts, seconds})
		sizes := sizeBounds()
		counts = m.buckets(len(sizes), func(c *counters, i int) uint64 { return c.sizes[s][i].Load() })
		sum := float64(m.sum(func(c *counters) uint64 { return c.sizeSum[s].Load() }))
		histogram(ch, m.size, label, buckets{sizes[:], counts, sum})
	}
	counter(m.misses, misses, "response")
	for c := range autopath.Candidates {
		counter(m.completed, m.sum(func(s *counters) uint64 { return s.completed[c].Load() }), c.String())
	}
	for o := range outcomes {
		counter(m.notCompleted, m.sum(func(s *counters) uint64 { return s.notCompleted[o].Load() }), o.String())
	}
	counter(m.panics, m.recovered.Count())
}

// collectAnswers exports the counts of one system, and returns its queries.
func (m *metrics) collectAnswers(counter func(*prometheus.Desc, uint64, ...string), s system, label string) (requests uint64) {
	source := s.source()
	var errors [causes]uint64
	for i, name := range [rcodes]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "OTHER"} {
		n := m.sum(func(c *counters) uint64 { return c.answers[s][i].Load() })
		counter(m.answers, n, source, name)
		errors[causeOf(i)] += n
		requests += n
	}
	if s == systemRecursive {
		requests = m.sum(func(c *counters) uint64 { return c.forwarded.Load() })
	}
	counter(m.requests, requests, label)
	for _, cut := range []cause{causeTruncated, causeOverflow} {
		errors[cut] = m.sum(func(c *counters) uint64 { return c.cut[s][cut].Load() })
	}
	for i, name := range [causes]string{"", "nxdomain", "truncated", "refused", "overflow", "servfail", "other"} {
		if i != int(causeNone) {
			counter(m.errors, errors[i], label, name)
		}
	}
	return requests
}

func (m *metrics) sum(of func(*counters) uint64) uint64 {
	var total uint64
	for i := range m.shards {
		total += of(&m.shards[i])
	}
	return total
}

// buckets returns the n+1 counts of a histogram with n bounds.
func (m *metrics) buckets(n int, of func(c *counters, i int) uint64) []uint64 {
	counts := make([]uint64, n+1)
	for i := range counts {
		counts[i] = m.sum(func(c *counters) uint64 { return of(c, i) })
	}
	return counts
}

// buckets is what a histogram counted.
type buckets struct {
	bounds []float64
	counts []uint64 // up to each bound, and above the last
	sum    float64
}

func histogram(ch chan<- prometheus.Metric, d *prometheus.Desc, label string, b buckets) {
	cumulative := make(map[float64]uint64, len(b.bounds))
	var total uint64
	for i, bound := range b.bounds {
		total += b.counts[i]
		cumulative[bound] = total
	}
	total += b.counts[len(b.bounds)]
	ch <- prometheus.MustNewConstHistogram(d, total, b.sum, cumulative, label)
}

var _ prometheus.Collector = (*metrics)(nil)

// causeOf tells under which cause a reply is counted.
func causeOf(rcode int) cause {
	switch rcode {
	case 0:
		return causeNone
	case 2:
		return causeServFail
	case 3:
		return causeNXDomain
	case 5:
		return causeRefused
	}
	return causeOther
}
