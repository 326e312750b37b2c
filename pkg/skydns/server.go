// Package skydns is a DNS server for one domain, whose records come from a [Backend]. Call
// [New] with a [Config], and pass the [Server] to package listener as its handler. The Server
// turns questions into answers. It adds what the domain needs as a zone: SOA and NS records,
// negative answers, the addresses of external names and of SRV targets. It does not know
// where the Backend's records come from.
//
//	class IN, in the domain ──► Backend.Records ──► reply
//	an address someone has  ──► Backend.ReverseRecord ──► reply
//	everything else in IN   ──► Outside
//	class CH                ──► version.bind and the like; other classes REFUSED
//
// A question that needs no other server is answered without allocation, directly into the
// listener's buffer. While the target of an external name is resolved elsewhere, no goroutine
// waits: the answer is sent when Resolve calls back.
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

// Backend provides the records of the domain. Its methods are called on the packet path by
// many goroutines at the same time. They must not block.
type Backend interface {
	// Records returns the records of a canonical wire name below the domain. name is valid
	// only during the call.
	Records(name []byte) treecache.Answer
	// ReverseRecord returns the names of an address, in the order of the answer, or the
	// status NoSuchName if the address does not belong to the domain. The records may be
	// stored in *scratch, which grows as needed; they are valid until its next use.
	ReverseRecord(addr netip.Addr, scratch *[]treecache.Record) treecache.Answer
	// HasSynced reports whether the data is complete. Until then, a name that Records does
	// not find may still exist.
	HasSynced() bool
}

// Config configures a Server.
type Config struct {
	// Domain is the zone that the Backend serves. It must not be the root.
	Domain dnsname.Name
	// Backend must not be nil.
	Backend Backend
	// Others are additional zones with their own records. No zone may equal or contain
	// another one or the Domain, or be inside it.
	Others []Zone
	// Outside answers every question about other names. Nil: they get REFUSED. If it has a
	// method Flush(), that is called at the end of each batch. Answers that it sends after
	// its Handle has returned should be reported to [Server.Answered].
	Outside listener.Handler
	// Route returns where questions go about a canonical wire name for which the Backend does
	// not answer. It must not keep name, and must not block. Nil: always RouteDefault.
	Route func(name []byte) Route
	// RefuseUncovered says how to answer questions for which there is no server to ask
	// (RouteNobody). If true, the answer is REFUSED, which fits a server that is meant to
	// serve only its own domain. If false, it is SERVFAIL, which fits a server that should
	// have servers to ask but has none.
	RefuseUncovered bool
	// Delegated reports whether a canonical wire name in the domain or in a reverse zone
	// belongs to a stub domain, so that Outside answers for it instead of the Backend. It is
	// called for every question about the domain, so it must be fast. It must not block, and
	// must not keep name. Nil: never.
	Delegated func(name []byte) bool
	// Resolve asks other servers about targets of external names outside the domain. Of
	// question, only Name, Type, Class, Flags and EDNS.DO are set; it is valid until Resolve
	// returns. Resolve must call done exactly once, on any goroutine; reply is valid only
	// during that call. Nil: the answer ends with the CNAME record.
	Resolve func(question *wire.Query, done func(reply *wire.Reply, err error))

	// RouteList returns, for caches, the list of servers that Outside and Resolve ask. It is
	// the answer to routes.kube-dns in class CH, and its EDNS option is added to answers for
	// which Resolve was called. Nil: REFUSED, and no option.
	RouteList func() *routelist.List

	// Autopath says whether names of the domain that do not exist are completed in the way of
	// a client's search list. It may change at any time. Nil: never.
	Autopath *autopath.Switch

	// TTL is the TTL of the addresses of ns.dns.<domain> and of the short answer to ANY. It
	// must be a whole number of seconds, and should equal that of the Backend's records.
	TTL time.Duration
	// NegativeTTL is how long caches may keep the answer that a name or a type does not
	// exist, in whole seconds. 0 means not at all.
	NegativeTTL time.Duration
	// NameServer is a name in the domain, such as that of the Service by which clients reach
	// this server. Its addresses are also those of ns.dns.<domain>. If it is "", or has no
	// addresses of the family in question, ns.dns.<domain> has the address to which the query
	// was sent.
	NameServer dnsname.Name
	// Version and Hostname are the answers to version.bind and hostname.bind in class CH. If
	// one is empty, its question gets REFUSED.
	Version, Hostname string

	// CookieSecret is the key of DNS cookies (RFC 7873). The zero value is replaced by a
	// random key.
	CookieSecret wire.CookieSecret

	// Logger receives messages about panics. Nil discards them.
	Logger *slog.Logger
	// Answers logs the answers that this server gives by itself while the log is on. Nil:
	// never.
	Answers *answerlog.Log
	// Failures records answers with SERVFAIL or REFUSED. Nil: none.
	Failures *failures.Log
	// Registerer receives the metrics, which are named MetricsNamespace_MetricsSubsystem_*.
	// Nil registers nothing.
	Registerer       prometheus.Registerer
	MetricsNamespace string // the first part of the names of metrics
	MetricsSubsystem string // the second part
}

// Zone is a zone that is served in addition to the domain.
type Zone struct {
	// Domain is the zone's name. It must not be the root.
	Domain dnsname.Name
	// Backend must not be nil. Its ReverseRecord is never called.
	Backend Backend
	// SchemaVersion is the text of dns-version.<domain>.
	SchemaVersion string
}

// flusher is a handler that collects questions until the end of a batch.
type flusher interface{ Flush() }

// Server implements listener.Splitter. It is safe for concurrent use, and starts no
// goroutines.
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

// New returns a Server, or an error that lists everything that is missing from cfg.
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

// Handle implements listener.Handler. A panic affects only the query that caused it: it is
// answered with SERVFAIL, and the panic is logged and counted.
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

// Answered counts an answer that Outside sent after its Handle had returned. took is the time
// since the query. reply is not kept.
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

// crashed reports a panic and returns the answer to the query that caused it.
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

// nameText returns the text of a wire name for the log.
func nameText(wireName []byte) string {
	if !dnsname.Valid(wireName) {
		return ""
	}
	return strings.ToLower(dnsname.Name(wireName).String())
}
