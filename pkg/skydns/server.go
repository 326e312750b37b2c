// Package skydns is a DNS server over a [Backend], which knows the records of
// one domain. It turns a question into an answer, and knows what the domain as
// a zone needs besides: SOA and NS, negative answers, external names followed
// to their addresses, addresses of SRV targets. It knows nothing of where
// records come from.
//
//	class IN, in the domain ──► Backend.Records ──► reply
//	an address someone has  ──► Backend.ReverseRecord ──► reply
//	everything else in IN   ──► Outside
//	class CH                ──► version.bind and the like; other classes REFUSED
//
// A question that needs no other server is answered without allocation,
// straight into the listener's buffer. An external name whose target lies
// outside is resolved without a waiting goroutine: the answer leaves when
// Resolve calls back.
package skydns

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/failures"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Backend knows the records of the domain. Its methods are called on the
// packet path, from many goroutines at once: they must not block.
type Backend interface {
	// Records returns what a canonical wire name below the domain has. name is
	// valid during the call only.
	Records(name []byte) treecache.Answer
	// ReverseRecord returns the names of an address, in the order of the answer.
	// NoSuchName: the address does not belong to the domain. The records may be in
	// *scratch, which grows as needed, and are valid until its next use.
	ReverseRecord(addr netip.Addr, scratch *[]treecache.Record) treecache.Answer
	// HasSynced reports whether the data is complete. Until then a name that
	// Records does not know may exist.
	HasSynced() bool
}

// Config configures a Server.
type Config struct {
	// Domain is the zone that the Backend serves. It must not be the root.
	Domain dnsname.Name
	// Backend must not be nil.
	Backend Backend
	// Others are further zones with records of their own, none of which equals,
	// contains or lies in another or the Domain.
	Others []Zone
	// Outside answers every question about other names. Nil: REFUSED. If it has a
	// method Flush() it is told when a batch ends. Answers that it gives later
	// should be told to [Server.Answered].
	Outside listener.Handler
	// Route tells where questions about a canonical wire name go that the Backend
	// does not answer for. It keeps no reference to name and must not block. Nil:
	// always RouteDefault.
	Route func(name []byte) Route
	// RefuseUncovered makes questions REFUSED for which there is nobody to ask
	// (RouteNobody), as befits a server that is to know its own domain only, else
	// SERVFAIL, as for a server that has lost those it should ask.
	RefuseUncovered bool
	// Delegated reports whether a canonical wire name, in the domain or in a
	// reverse zone, belongs to a stub domain: Outside then answers for it, not the
	// Backend. It keeps no reference to name and must not block or be slow: it is
	// called for every question about the domain. Nil: never.
	Delegated func(name []byte) bool
	// Resolve asks other servers about the targets of external names outside the
	// domain. question holds Name, Type, Class, Flags and EDNS.DO, and is valid
	// until Resolve returns. done is called exactly once, on any goroutine, and
	// reply is valid during that call. Nil is like one that always gives
	// ErrNobody.
	Resolve func(question *wire.Query, done func(reply *wire.Reply, err error))

	// RouteList tells caches whom Outside and Resolve ask: it is the answer to
	// routes.kube-dns in class CH, and its option is in answers for which Resolve
	// was asked. Nil: REFUSED, and no option.
	RouteList func() *routelist.List

	// Autopath says whether names of the domain that do not exist are completed as by
	// a client's search list. It may change at any time. Nil: never.
	Autopath *autopath.Switch

	// TTL is that of the addresses of ns.dns.<domain> and of the short answer to
	// ANY, in whole seconds: it should be the same as that of the Backend.
	TTL time.Duration
	// NegativeTTL is how long others may remember that a name or a type does not
	// exist. Whole seconds; 0 means not at all.
	NegativeTTL time.Duration
	// NameServer is the name in the domain whose addresses ns.dns.<domain> has
	// too, such as the Service by which clients reach this server. When it is
	// "", or has no addresses of the family asked for, ns.dns.<domain> has the
	// address to which the query was sent.
	NameServer dnsname.Name
	// Version and Hostname answer version.bind and hostname.bind in class CH.
	// Empty ones are REFUSED.
	Version, Hostname string

	// CookieSecret is the key of DNS cookies (RFC 7873); the zero value is
	// replaced by a random one.
	CookieSecret wire.CookieSecret

	// Logger gets crashes. Nil discards them.
	Logger *slog.Logger
	// Answers logs the answers that this server gives by itself, while it is on. Nil:
	// never.
	Answers *answerlog.Log
	// Failures records answers with SERVFAIL or REFUSED. Nil: none.
	Failures *failures.Log
	// Registerer gets the metrics, named MetricsNamespace_MetricsSubsystem_*.
	// Nil registers nothing.
	Registerer       prometheus.Registerer
	MetricsNamespace string // the first part of the names of metrics
	MetricsSubsystem string // the second part
}

// Zone is a zone beside the domain.
type Zone struct {
	// Domain is the zone's name. It must not be the root.
	Domain dnsname.Name
	// Backend must not be nil. Its ReverseRecord is never called.
	Backend Backend
	// SchemaVersion is the text of dns-version.<domain>.
	SchemaVersion string
}

// flusher collects questions until the end of a batch.
type flusher interface{ Flush() }

// Server implements listener.Splitter. It is safe for concurrent use and starts
// nothing.
type Server struct {
	cfg     Config        // as given to New, with a cookie secret
	log     *slog.Logger  // never nil
	outside flusher       // Config.Outside, if it is one
	warmers []Warmer      // the backends that are
	domain  authority     // Config.Domain
	others  []authority   // Config.Others
	metrics *metrics      // all shards of the counters
	workers sync.Pool     // *worker
	buffers sync.Pool     // *[]byte of wire.MaxMessage octets, for answers that come later
	seed    maphash.Seed  // of the hashes of names and addresses
	large   largeServices // those that were reported as too large

	service     []byte // Config.NameServer
	ttl         uint32 // Config.TTL in seconds
	negativeTTL uint32 // Config.NegativeTTL in seconds
}

var _ listener.Handler = (*Server)(nil)

// New returns a Server. The error names everything that is missing in cfg.
func New(cfg Config) (*Server, error) {
	var errs []error
	zones, err := newZones(&cfg)
	if err != nil {
		errs = append(errs, err)
	}
	if cfg.TTL < 0 {
		errs = append(errs, fmt.Errorf("the TTL %v is below zero", cfg.TTL))
	}
	if cfg.NegativeTTL < 0 {
		errs = append(errs, fmt.Errorf("the negative TTL %v is below zero", cfg.NegativeTTL))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger,
		metrics:     newMetrics(cfg.Registerer, cfg.MetricsNamespace, cfg.MetricsSubsystem),
		domain:      zones[0],
		others:      zones[1:],
		service:     []byte(cfg.NameServer),
		ttl:         uint32(cfg.TTL / time.Second),
		negativeTTL: uint32(cfg.NegativeTTL / time.Second),
		seed:        maphash.MakeSeed(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.CookieSecret == (wire.CookieSecret{}) {
		_, _ = rand.Read(s.cfg.CookieSecret[:]) // never fails, it aborts the program
	}
	s.outside, _ = cfg.Outside.(flusher)
	for _, z := range zones {
		if warmer, ok := z.backend.(Warmer); ok {
			s.warmers = append(s.warmers, warmer)
		}
	}
	s.buffers.New = func() any {
		b := make([]byte, 0, wire.MaxMessage)
		return &b
	}
	s.workers.New = func() any { return newWorker(s) }
	return s, nil
}

// Handle implements listener.Handler. A crash in it costs the one query: it is
// answered with SERVFAIL, logged and counted.
func (s *Server) Handle(packet []byte, to listener.ReplyTo, reply []byte) (out []byte) {
	w := s.newBatch()
	defer func() {
		if r := recover(); r != nil {
			out = s.crashed(r, packet, reply) // w may be in any state: it is dropped
		}
	}()
	out = w.handleQuery(packet, nil, to, reply)
	s.workers.Put(w)
	return out
}

// newBatch returns a worker for questions that come together.
func (s *Server) newBatch() *worker {
	w := s.workers.Get().(*worker)
	w.second = 0
	return w
}

// Answered counts an answer that Outside gave later than its Handle returned:
// the length of the wait and the reply.
func (s *Server) Answered(took time.Duration, reply []byte) {
	s.metrics.shard().observeOutside(took, reply)
	s.noteOutside(reply)
}

// Flush tells Outside that a batch ends.
func (s *Server) Flush() {
	if s.outside != nil {
		s.outside.Flush()
	}
}

// crashed reports a crash and returns the answer to the query that caused it.
func (s *Server) crashed(reason any, packet, reply []byte) []byte {
	var q wire.Query
	verdict := wire.ParseQuery(packet, &q)
	s.metrics.recovered.Error("recovered from a panic while handling a query", s.log, reason, packet,
		slog.String("name", nameText(q.Name)), slog.String("type", wire.TypeText(q.Type)))
	if verdict == wire.Drop {
		return nil
	}
	s.metrics.shard().answers[systemAuth][wire.RcodeServFail].Add(1)
	if s.cfg.Failures.Admit() {
		s.cfg.Failures.Answer(&failures.Answer{
			Name: nameText(q.Name), Type: wire.TypeText(q.Type), Rcode: wire.RcodeText(wire.RcodeServFail), Source: "error", Reason: "crash while answering the query",
		})
	}
	return wire.AppendError(reply, &q, wire.RcodeServFail, wire.OPT{})
}

// nameText is a name for the log.
func nameText(wireName []byte) string {
	if !dnsname.Valid(wireName) {
		return ""
	}
	return strings.ToLower(dnsname.Name(wireName).String())
}
