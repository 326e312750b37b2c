package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
)

// The terms of routing are defined in package route, and repeated here for callers.
type (
	// Server is one upstream server and the way to it.
	Server = route.Server
	// Route says what to do with the names of a domain.
	Route = route.Route
	// Table maps names to routes.
	Table = route.Table[*Group]
	// Decision is what a Table decides about a question.
	Decision = route.Decision[*Group]
	// Kind is the kind of a Decision.
	Kind = route.Kind
	// TLS says whether a server is asked over TLS, and how it is authenticated.
	TLS = route.TLS
	// Role is a server's place among those of its domain.
	Role = route.Role
	// Trust holds the certificates that TLS handshakes use.
	Trust = transport.Trust
	// UDPConfig says how UDP is used.
	UDPConfig = transport.UDPConfig
	// Strategy says which servers of a group to ask.
	Strategy = policy.Strategy
)

// Kinds of a [Decision], and strategies.
const (
	Nobody      = route.Nobody
	Ask         = route.Ask
	LocalOnly   = route.LocalOnly
	Literal     = route.Literal
	Unavailable = route.Unavailable

	Fastest = policy.Fastest
	InOrder = policy.InOrder
	All     = policy.All
)

// Config says which servers to ask and how. The zero value of a field means its default.
type Config struct {
	// Routes may be empty: every lookup then returns [Nobody].
	Routes    []Route
	Strategy  Strategy // how to choose among the servers of a domain
	UDPConfig          // how UDP is used; Payload is 1232 by default
	// Timeout bounds one exchange. It should be below the 5 s after which
	// clients give up. Default: 4 s.
	Timeout time.Duration
	// FirstRetry is the time after which a question is asked again; it doubles each time
	// (--fast-dns-retry). Over TCP it is at least 2 s. Default: derived from the measured
	// round-trip times.
	FirstRetry time.Duration
	// MixCase chooses the case of each letter of a name at random in questions over UDP, and
	// accepts only replies that repeat it (--do-0x20-encode). Servers that always change the
	// case are asked without it. Owners get replies in the case in which they asked.
	MixCase bool
	// DetectLoops finds servers that send our own questions back to us (--dns-loop-detect).
	// When Run begins, and at each Reload that changes the servers for all names, each of
	// these servers is asked a unique question. If [Set.Looped] sees that question again, the
	// server loops: it is no longer used, only probed every minute, until the question does
	// not come back any more.
	DetectLoops bool
	// TCPExchanges limits the exchanges over TCP in progress. One client may have at most an
	// eighth of them. A client at 127.0.0.1 or ::1, which may be dnscache asking for
	// everybody, may have half, and so may one server of several. Default: 512.
	TCPExchanges int
	// Trust returns the certificates for connections over TLS. It is called before each
	// handshake. When it returns another pointer than before, existing connections take no
	// more questions. Nil: the system's roots.
	Trust func() *Trust
	// NewSink returns a new [Sink], in which one goroutine collects what follows from the
	// ends of exchanges. It must not be nil.
	NewSink func() Sink
	// OnLoop is called when DetectLoops finds that a server loops. It must not call the set.
	// If it is nil, the finding is logged to Logger.
	OnLoop func(server netip.AddrPort)
	// Logger receives rate-limited messages about changes of the servers' health and about
	// socket errors. Nil discards them.
	Logger *slog.Logger
}

const (
	defaultPayload      = 1232
	defaultTimeout      = 4 * time.Second
	defaultTCPExchanges = 512
)

// withDefaults returns c with the zero fields filled in, or an error that lists everything
// that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.NewSink == nil {
		errs = append(errs, errors.New("NewSink is missing"))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Payload = max(cmp.Or(c.Payload, defaultPayload), 512)
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.TCPExchanges <= 0 {
		c.TCPExchanges = defaultTCPExchanges
	}
	if c.MaxPort != 0 && c.MinPort > c.MaxPort {
		errs = append(errs, fmt.Errorf("the lowest port, %d, is above the highest, %d", c.MinPort, c.MaxPort))
	}
	for _, r := range c.Routes {
		for _, s := range r.Servers {
			switch {
			case !s.Addr.IsValid() || s.Addr.Port() == 0:
				errs = append(errs, fmt.Errorf("invalid server address %v", s.Addr))
			case s.Source.IsValid() && s.Source.Addr().Is4() != s.Addr.Addr().Is4():
				errs = append(errs, fmt.Errorf("server %v cannot be asked from %v", s.Addr, s.Source.Addr()))
			}
		}
	}
	if err := unmixed(c.Routes); err != nil {
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}
