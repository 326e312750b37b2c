package forwarder

import (
	"log/slog"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/answerlog"
	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Config configures a [Forwarder]. The zero value of a field means that the feature is
// off, or stands for the default. Settings that the upstream package or the cache needs
// too are in their Config.
type Config struct {
	// Upstream says which servers to ask, and how. Its Payload also limits UDP answers to
	// clients. NewSink and Logger are set by New.
	Upstream upstream.Config
	// Cache says what is cached; if Entries is 0, nothing is. If Reload changes it, the cache
	// starts empty. MaxTTL and KeepAD also apply to answers that are not cached. With
	// StaleFor, clients get expired answers when servers fail or take longer than StaleAfter
	// (RFC 8767), or at once with StaleAtOnce.
	Cache answercache.Config
	// InFlight is the largest number of questions that wait for upstream servers, for each
	// domain that has its own servers. When it is reached, the question that has waited
	// longest, but at least a second, is answered early with SERVFAIL or an expired answer.
	// If there is none, the new question is refused (REFUSED), unless its client has less than
	// its share, for which there is a reserve of a quarter. Default: 150.
	InFlight int
	// StaleAfter is how long a client waits before it gets an expired answer. Default: 1.8 s
	// (RFC 8767 §5).
	StaleAfter time.Duration
	// StaleAtOnce gives expired answers at once, and refreshes them afterwards.
	StaleAtOnce bool
	// FollowRoutes follows the routes of upstream servers that publish them (package
	// routelist): entries from servers that such a server would no longer ask are removed from
	// the cache.
	FollowRoutes bool
	// Complete completes names by the hints of upstream servers (package autopath): the answer to
	// a name that does not exist is one that the client's search list leads to.
	Complete bool
	// ReplyOptions holds EDNS options in wire form, which are added to every answer with an
	// OPT record if they fit.
	ReplyOptions []byte
	// Stages are the policies that apply before and after the cache and the servers, in this
	// order.
	Stages []Stage
	// Log receives the events of every query. It may be nil.
	Log QueryLog
	// Answered is called for each answer that is sent after Handle has returned, with the time
	// that the client waited. It is called on the packet path, and must not keep reply. It may
	// be nil. Reload does not change it.
	Answered func(took time.Duration, reply []byte)
	// Answers logs answers to clients while it is on. It may be nil. Reload does not change it.
	Answers *answerlog.Log
	// OnOverLimit is called, at most once in ten seconds, when a question is refused because
	// of InFlight. It must not block. If it is nil, the event is logged.
	OnOverLimit func(OverLimit)
	// Logger receives messages for operators. Nil discards them.
	Logger *slog.Logger
}

// OverLimit describes a question that was refused because too many are in flight.
type OverLimit struct {
	Domain     string // the domain whose servers would be asked; "" for the servers of all other names
	Max        int    // Config.InFlight
	Suppressed uint64 // refusals since the last call
}

const (
	defaultInFlight   = 150
	defaultPayload    = 1232
	defaultStaleAfter = 1800 * time.Millisecond // RFC 8767 §5: client response timer
)

// withDefaults returns c with defaults in place of zeros.
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
			logger.Warn("too many questions are waiting for upstream servers; refusing new ones",
				slog.Int("limit", o.Max), slog.String("domain", o.Domain), lograte.Suppressed(o.Suppressed))
		}
	}
	if c.StaleAfter <= 0 {
		c.StaleAfter = defaultStaleAfter
	}
	return c
}
