package forwarder

import (
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Source says where an answer to a client came from.
type Source uint8

// The sources of answers.
const (
	SourceCache    Source = iota // a valid cache entry
	SourceStale                  // an expired cache entry
	SourceFailure                // a remembered failure
	SourceLocal                  // a stage: local data or a filter
	SourceError                  // an error without data: malformed, refused, over a limit
	SourceUpstream               // an upstream server's reply
	SourceNone                   // SERVFAIL, because no upstream server answered
	Sources                      // the number of sources
)

// String returns the source's name in metrics.
func (s Source) String() string {
	return [...]string{"cache", "stale", "failure", "local", "error", "upstream", "none", "unknown"}[min(s, Sources)]
}

// DurationBuckets is the number of upper bounds in the histogram of waiting times.
const DurationBuckets = 16

// DurationBounds returns the upper bounds of the buckets in the histogram of waiting times, in
// seconds.
func DurationBounds() [DurationBuckets]float64 {
	return [DurationBuckets]float64{1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}
}

// Answers counts answers to clients.
type Answers struct {
	// Count is the number of answers by source and rcode.
	Count [Sources][wire.RcodeSlots]uint64
	// Durations counts waiting times by the buckets of DurationBounds, with one more for longer
	// times. Sum is their sum. Up to sampleEvery answers that are given at once share one
	// measurement, so the newest answers may be missing.
	Durations [Sources][DurationBuckets + 1]uint64
	Sum       [Sources]time.Duration
}

// answerTally is a share of the counters of Answers. Any goroutine may change it.
type answerTally struct {
	count     [Sources][wire.RcodeSlots]atomic.Uint64
	durations [Sources][DurationBuckets + 1]atomic.Uint64
	sum       [Sources]atomic.Int64 // nanoseconds
}

// observe counts n answers that took about d each.
func (t *answerTally) observe(s Source, d time.Duration, n uint64) {
	d = max(d, 0)
	bounds := DurationBounds()
	t.durations[s][collect.Bucket(bounds[:], d)].Add(n)
	t.sum[s].Add(int64(d) * int64(n))
}

// addTo adds the counts to a.
func (t *answerTally) addTo(a *Answers) {
	for s := range Sources {
		for slot := range t.count[s] {
			a.Count[s][slot] += t.count[s][slot].Load()
		}
		for i := range t.durations[s] {
			a.Durations[s][i] += t.durations[s][i].Load()
		}
		a.Sum[s] += time.Duration(t.sum[s].Load())
	}
}

// sampleEvery is how many answers of one source, given at once, share one measurement of the time.
const sampleEvery = 16

// partAnswers counts the answers of one [Part], which only one goroutine uses at a time. The
// numbers are added to a tally once for each batch.
type partAnswers struct {
	touched  uint8 // bits of the sources with answers in this batch
	measured uint8 // bits of the sources that have been measured before
	count    [Sources][wire.RcodeSlots]uint32
	pending  [Sources]uint32 // answers whose time has not been counted yet
}

// countAnswer counts one answer.
func (c *partAnswers) countAnswer(s Source, slot int) {
	c.touched |= 1 << s
	c.count[s][slot]++
}

// flush adds the counts of a batch to t. clock returns the time since the batch began; it is
// called only if a measurement is due.
func (c *partAnswers) flush(t *answerTally, clock func() time.Duration) {
	took := time.Duration(-1)
	for s := Source(0); c.touched>>s != 0; s++ {
		if c.touched>>s&1 == 0 {
			continue
		}
		for slot, n := range c.count[s] {
			if n != 0 {
				t.count[s][slot].Add(uint64(n))
				c.pending[s] += n
				c.count[s][slot] = 0
			}
		}
		if c.pending[s] < sampleEvery && c.measured>>s&1 != 0 {
			continue
		}
		if took < 0 {
			took = clock()
		}
		t.observe(s, took, uint64(c.pending[s]))
		c.pending[s] = 0
		c.measured |= 1 << s
	}
	c.touched = 0
}

// logAnswer gives the answer log a query that was answered with msg.
func (q *Query) logAnswer(msg []byte, took time.Duration) {
	rcode := wire.Rcode(wire.Flags(msg))
	if q.extended {
		rcode = wire.RcodeBadVers // the only one that is not in the header
	}
	q.f.answerLog.Answer(&answerlog.Entry{
		Client: q.to.Peer(), Stream: q.to.Stream(), Name: q.Msg.Name, Type: q.Msg.Type, Class: q.Msg.Class,
		Rcode: rcode, Source: q.source.String(), Took: took,
	})
}
