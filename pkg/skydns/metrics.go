package skydns

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/internal/panics"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// system says which part of the server answered. Its values are those of the metric label
// "system".
type system uint8

const (
	systemAuth      system = iota // names in the domain, CHAOS, malformed queries
	systemReverse                 // reverse names of addresses that a Service has
	systemRecursive               // handed to Outside
	systems
)

// source returns the system's value of the metric label "source".
func (s system) source() string { return [systems]string{"cluster", "reverse", "upstream"}[s] }

// cause says how an answer differed from a normal one. Its values are those of the metric
// label "cause".
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

// sampleEvery is the number of queries of which one is timed: to read the clock twice for
// each would cost 2 % of a query.
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

// counters is one shard of the counters. Most goroutines have a shard of their own, which
// keeps additions cheap; sharing one is safe.
type counters struct {
	// forwarded counts the queries passed to Outside. The other systems have as many queries
	// as answers.
	forwarded     atomic.Uint64
	answers       [systems][wire.RcodeSlots]atomic.Uint64     // answers, by rcode
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
	bounds := durationBounds()
	c.durations[s][collect.Bucket(bounds[:], d)].Add(n)
	c.durationNanos[s].Add(uint64(max(d, 0)) * n)
}

// observeOutside counts an answer of Outside that arrived took after the query.
func (c *counters) observeOutside(took time.Duration, reply []byte) {
	c.observeDuration(systemRecursive, took, 1)
	c.observeSize(systemRecursive, len(reply))
	flags := wire.Flags(reply)
	c.answers[systemRecursive][wire.RcodeSlot(flags)].Add(1)
	if flags&wire.FlagTC != 0 {
		c.cut[systemRecursive][causeTruncated].Add(1)
	}
}

// metrics holds the shards. It is the collector that adds them up at each scrape.
type metrics struct {
	shards []counters    // the counters
	next   atomic.Uint32 // number of the shard of the next worker

	recovered panics.Log // panics while answering

	collect.Set                                                     // the metrics below
	requests, errors, misses, panics, duration, size collect.Metric // those of kube-dns
	answers                                          collect.Metric // answers by source and rcode
	completed, notCompleted                          collect.Metric // what package autopath did
}

// newMetrics registers the metrics with reg, under namespace and subsystem. If reg is nil,
// nothing is registered, but everything is still counted.
func newMetrics(reg prometheus.Registerer, namespace, subsystem string) *metrics {
	m := &metrics{shards: make([]counters, 2*runtime.GOMAXPROCS(0))}
	m.Prefix = prometheus.BuildFQName(namespace, subsystem, "dns_")
	m.requests = m.Counter("request_count_total", "Queries, by what answered them.", "system")
	m.duration = m.Histogram("request_duration_seconds",
		"Time from query to reply, in seconds; of the queries that are not forwarded, one in 16 is measured.", "system")
	m.size = m.Histogram("response_size_bytes", "Size of replies in bytes.", "system")
	m.errors = m.Counter("error_count_total", "Replies that report an error or are truncated, by cause.", "system", "cause")
	m.misses = m.Counter("cachemiss_count_total", "Queries answered from kubedns's own data; there is no cache of replies that could be hit.", "cache")
	m.panics = m.Counter("panic_count_total", "Queries whose handling crashed; they were answered with SERVFAIL.")
	m.Prefix = "kubedns_"
	m.answers = m.Counter("answers_total", "Answers to clients, by where they came from and by rcode.", "source", "rcode")
	m.completed = m.Counter("autopath_completed_total",
		"Answers for names that were completed as by a search list, by the name that answered.", "candidate")
	m.notCompleted = m.Counter("autopath_not_completed_total", "Names that do not exist and were not completed, by reason.", "reason")
	if reg != nil {
		reg.MustRegister(m)
	}
	return m
}

// shard returns a shard for a new user.
func (m *metrics) shard() *counters {
	return &m.shards[int(m.next.Add(1))%len(m.shards)]
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	var misses uint64
	for s, label := range [systems]string{"auth", "reverse", "recursive"} {
		requests := m.collectAnswers(ch, system(s), label)
		if system(s) != systemRecursive {
			misses += requests
		}
		bounds := durationBounds()
		counts := m.buckets(len(bounds), func(c *counters, i int) uint64 { return c.durations[s][i].Load() })
		seconds := time.Duration(m.sum(func(c *counters) uint64 { return c.durationNanos[s].Load() })).Seconds()
		m.duration.SendHistogram(ch, bounds[:], counts, seconds, label)
		sizes := sizeBounds()
		counts = m.buckets(len(sizes), func(c *counters, i int) uint64 { return c.sizes[s][i].Load() })
		sum := float64(m.sum(func(c *counters) uint64 { return c.sizeSum[s].Load() }))
		m.size.SendHistogram(ch, sizes[:], counts, sum, label)
	}
	m.misses.Send(ch, float64(misses), "response")
	for c := range autopath.Candidates {
		m.completed.Send(ch, float64(m.sum(func(s *counters) uint64 { return s.completed[c].Load() })), c.String())
	}
	for o := range outcomes {
		m.notCompleted.Send(ch, float64(m.sum(func(s *counters) uint64 { return s.notCompleted[o].Load() })), o.String())
	}
	m.panics.Send(ch, float64(m.recovered.Count()))
}

// collectAnswers exports the counts of one system, and returns its queries.
func (m *metrics) collectAnswers(ch chan<- prometheus.Metric, s system, label string) (requests uint64) {
	source := s.source()
	var errors [causes]uint64
	for i := range wire.RcodeSlots {
		n := m.sum(func(c *counters) uint64 { return c.answers[s][i].Load() })
		m.answers.Send(ch, float64(n), source, wire.RcodeSlotName(i))
		errors[causeOf(i)] += n
		requests += n
	}
	if s == systemRecursive {
		requests = m.sum(func(c *counters) uint64 { return c.forwarded.Load() })
	}
	m.requests.Send(ch, float64(requests), label)
	for _, cut := range []cause{causeTruncated, causeOverflow} {
		errors[cut] = m.sum(func(c *counters) uint64 { return c.cut[s][cut].Load() })
	}
	for i, name := range [causes]string{"", "nxdomain", "truncated", "refused", "overflow", "servfail", "other"} {
		if i != int(causeNone) {
			m.errors.Send(ch, float64(errors[i]), label, name)
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

var _ prometheus.Collector = (*metrics)(nil)

// causeOf returns the cause under which a reply is counted.
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
