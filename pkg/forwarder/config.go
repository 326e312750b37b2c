package forwarder

import (
	"log/slog"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Config is what a [Forwarder] is made of. The zero value of a field means
// off, or the default that is named. Each setting has one home: what upstream
// or the cache needs too is taken from their Config.
type Config struct {
	// Upstream says whom to ask and how. Its Payload also bounds UDP answers to
	// clients, whatever they accept. NewSink, OnSend and Logger are set by New.
	Upstream upstream.Config
	// Cache says what is kept. Entries 0 keeps nothing. A Reload that changes it
	// begins with an empty cache. MaxTTL and KeepAD also hold for answers that
	// are passed on without being kept. With StaleFor, expired answers are given
	// when servers fail or take longer than StaleAfter (RFC 8767), or see
	// StaleAtOnce.
	Cache answercache.Config
	// InFlight bounds the questions that wait for servers, for each domain with
	// servers of its own. At the bound the question that has waited longest, for a
	// second at least, is answered with SERVFAIL or an expired answer to make
	// room; if there is none, the new one is REFUSED, except that a client with
	// less than its share is served from a reserve of a quarter. Default: 150.
	InFlight int
	// StaleAfter is how long a client waits before it gets an expired answer.
	// Default: 1.8 s, RFC 8767 §5.
	StaleAfter time.Duration
	// StaleAtOnce gives expired answers at once and refreshes them afterwards.
	StaleAtOnce bool
	// FollowRoutes follows the routes of servers that show them (package
	// routelist): what such a server got from servers that it would not ask any
	// more leaves the cache.
	FollowRoutes bool
	// ReplyOptions are EDNS options in wire form for every answer with an OPT
	// record that has room.
	ReplyOptions []byte
	// Stages are the policies around cache and servers, in their order.
	Stages []Stage
	// Log gets the story of every query. Nil: none.
	Log QueryLog
	// Answered is told of each answer that leaves later than Handle returned,
	// and how long its asker waited. It is called on the packet path. Nil: nobody
	// is told. A Reload does not change it.
	Answered func(took time.Duration, reply []byte)
	// OnOverLimit is told, at most once in ten seconds, that a question was
	// refused because of InFlight. It must not block. Nil: Logger gets it.
	OnOverLimit func(OverLimit)
	// Logger gets what operators should know. Nil discards it.
	Logger *slog.Logger
}

// OverLimit says that a question was refused because too many wait.
type OverLimit struct {
	Domain     string // whose servers were to be asked; "" for all names
	Max        int    // Config.InFlight
	Suppressed uint64 // refusals since the last call that were not told
}

const (
	defaultInFlight   = 150
	defaultPayload    = 1232
	defaultStaleAfter = 1800 * time.Millisecond // RFC 8767 §5: client response timer
)

// withDefaults returns c with zero fields filled in.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.InFlight <= 0 {
		c.InFlight = defaultInFlight
	}
	if c.Upstream.Payload == 0 {
		c.Upstream.Payload = defaultPayload
	}
	if c.OnOverLimit == nil {
		logger := c.Logger
		c.OnOverLimit = func(o OverLimit) {
			logger.Warn("too many questions wait for servers; refusing more",
				"limit", o.Max, "domain", o.Domain, "suppressed", o.Suppressed)
		}
	}
	if c.StaleAfter <= 0 {
		c.StaleAfter = defaultStaleAfter
	}
	return c
}
