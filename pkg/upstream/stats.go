package upstream

import (
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// LatencyBuckets is the number of buckets in ServerStats.Latency.
const LatencyBuckets = 16

// LatencyBounds returns the upper bounds of all these buckets except the last, in seconds.
func LatencyBounds() []float64 {
	var bounds [LatencyBuckets - 1]float64
	for i := range bounds {
		bounds[i] = (64 * time.Microsecond << i).Seconds()
	}
	return bounds[:]
}

// ServerStats holds the counters of one server since it was configured.
type ServerStats struct {
	Addr netip.AddrPort // of the server
	// Label is the server in metrics, which no other server has: tls:ADDRESS#PORT over TLS. Of
	// several servers at one address and port it has everything in which they differ.
	Label     string
	Sent      uint64 // packets, and questions over TCP
	Retried   uint64 // second and later attempts at a question, counted in Sent too
	Answered  uint64 // replies that matched
	Failed    uint64 // SERVFAIL, REFUSED, malformed, refused ports, timeouts
	NXDomain  uint64 // NXDOMAIN replies
	Truncated uint64 // replies with TC, asked again over TCP
	Miscased  uint64 // replies that would match but for Config.MixCase
	// Latency counts replies by round-trip time: bucket i counts those below 64 µs << i, the
	// last one all others. LatencySum is the sum of all round-trip times.
	Latency    [LatencyBuckets]uint64
	LatencySum time.Duration // see Latency
	// SmoothedRTT is the smoothed round-trip time, 0 while unknown. Down means that the
	// server does not answer and is only probed, once a second. Looping means that it sends
	// our questions back and is only probed, once a minute.
	SmoothedRTT   time.Duration
	Down, Looping bool // see SmoothedRTT
	// LastError is the text of the last failure, "" if there was none; LastErrorAt is its
	// time. Both stay when the server answers again.
	LastError   string
	LastErrorAt time.Time // see LastError
	// TLS is set for a server that is asked over TLS.
	TLS *TLSStats
}

// Stats holds the counters of a [Set] since New.
type Stats struct {
	Servers []ServerStats // in use now, each once, in order
	// WrongReplies counts packets that answered no question: their ID or question did not
	// match, or they were not responses.
	WrongReplies uint64
	// TCPExchanges counts questions asked over TCP because the reply was truncated.
	// TCPRefused counts those that were not, because Config.TCPExchanges or a share of it was
	// used up.
	TCPExchanges, TCPRefused uint64
	// TCPDials counts the connections that were begun, TCPConns those that exist now.
	TCPDials uint64
	TCPConns int
	// InFlight is the number of exchanges that have not ended.
	InFlight int
}

// serverCounters are the counters behind ServerStats.
type serverCounters struct {
	sent, retried, answered, nxdomain, truncated, miscased atomic.Uint64 // as in ServerStats

	latency    [LatencyBuckets]atomic.Uint64 // ServerStats.Latency
	latencySum atomic.Int64                  // ServerStats.LatencySum, in nanoseconds
}

func (c *serverCounters) observe(rtt int64) {
	// 64 µs is 2^16 ns, near enough: 65.5 µs.
	i := max(bits.Len64(uint64(max(rtt, 0)))-16, 0)
	c.latency[min(i, LatencyBuckets-1)].Add(1)
	c.latencySum.Add(rtt)
	c.answered.Add(1)
}

// statsNow returns the counters at the time now of the set's clock. Set.health must be held.
func (s *server) statsNow(now int64) ServerStats {
	c, h := &s.counters, &s.health
	st := ServerStats{
		Addr: s.spec.Addr, Label: s.label(), TLS: s.tls.stats(s.spec.TLS.Encrypted()),
		Sent: c.sent.Load(), Retried: c.retried.Load(), Answered: c.answered.Load(), Failed: h.Failures,
		NXDomain: c.nxdomain.Load(), Truncated: c.truncated.Load(), Miscased: c.miscased.Load(),
		LatencySum: time.Duration(c.latencySum.Load()), SmoothedRTT: h.SmoothedRTT(), Down: h.IsDown(), Looping: h.IsLooping(),
	}
	for i := range c.latency {
		st.Latency[i] = c.latency[i].Load()
	}
	if fault := h.LastFault(); fault.Kind != policy.NoFault {
		st.LastError = s.faultText(fault)
		st.LastErrorAt = time.Now().Add(-policy.Time(now).Since(fault.At))
	}
	return st
}

// faultText returns a text that says why an attempt brought nothing usable.
func (s *server) faultText(f policy.Fault) string {
	switch f.Kind {
	case policy.FaultSilent:
		return "no reply in time"
	case policy.FaultRcode:
		return "the reply was " + wire.RcodeText(f.Rcode)
	case policy.FaultMalformed:
		return "the reply could not be read"
	case policy.FaultUnsent:
		if err := s.unsent.Load(); err != nil {
			return "could not send: " + (*err).Error()
		}
		return "could not send"
	case policy.FaultNotConnected:
		return "no TCP connection"
	case policy.FaultLost:
		return "the connection ended before the reply"
	case policy.FaultHandshake:
		if text := s.tls.reason(); text != "" {
			return "no TLS connection: " + text
		}
		return "no TLS connection"
	}
	return "nothing listens there, or the host cannot be reached (reported by the network)"
}
