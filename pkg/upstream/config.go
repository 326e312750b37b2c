package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
)

// The words of routing are those of package route.
type (
	// Server is one upstream server and the way to it.
	Server = route.Server
	// Route says what to do with the names of a domain.
	Route = route.Route
	// Table tells the route of a name.
	Table = route.Table[*Group]
	// Decision is what a Table says about a question.
	Decision = route.Decision[*Group]
	// Kind says what becomes of a question.
	Kind = route.Kind
	// TLS is how a server is authenticated.
	TLS = route.TLS
	// Role is a server's place among those of its domain.
	Role = route.Role
	// Trust is what TLS handshakes work with.
	Trust = transport.Trust
	// Strategy says which servers of a group are asked.
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

// Config says whom to ask and how. The zero value of a field means its
// default.
type Config struct {
	// Routes may be empty: every lookup is then [Nobody].
	Routes   []Route
	Strategy Strategy // how to choose among the servers of a domain
	// Payload is the UDP payload size that we advertise (--edns-packet-max).
	// Default: 1232.
	Payload uint16
	// Timeout bounds one exchange. It should be below the 5 s after which
	// clients give up. Default: 4 s.
	Timeout time.Duration
	// FirstRetry is the time after which a question is asked again, doubled each
	// time (--fast-dns-retry), over TCP no less than 2 s. Default: from the measured
	// round trip times.
	FirstRetry time.Duration
	// Sockets is the number of UDP sockets per server. Default: 4 for a
	// loopback address, else 256, or fewer where RLIMIT_NOFILE is low. An attacker
	// who cannot see the traffic has to guess one of them besides the id.
	Sockets int
	// SocketUses and SocketAge bound a socket's life. Defaults: 1<<16 and 5 min
	// for a loopback address, else 1<<10 and 1 min.
	SocketUses int
	SocketAge  time.Duration // see SocketUses
	// Port is the one local UDP port to use (--query-port), MinPort and MaxPort
	// bound the random ones (--min-port, --max-port). 0 leaves the choice to
	// the kernel.
	Port, MinPort, MaxPort uint16
	// MixCase draws the case of the letters in questions over UDP at random and
	// takes only replies that repeat it (--do-0x20-encode). A server that always
	// changes the case is asked without. Owners hear names in the case that they
	// asked for.
	MixCase bool
	// DetectLoops asks each server for all names a question that nobody else
	// asks, when Run begins and at each Reload that changes them. A server from
	// which the question comes back, as told by [Set.Looped], is not asked any
	// more, but probed every minute, and used again when the question no longer
	// comes back (--dns-loop-detect).
	DetectLoops bool
	// TCPExchanges bounds the exchanges over TCP at a time. One client gets an
	// eighth at most, one server of several half, and so does a client at 127.0.0.1
	// or ::1, which may be dnscache asking for everybody. Default: 512.
	TCPExchanges int
	// Trust returns the certificates for connections over TLS. It is called before
	// each handshake; connections of before are not affected when the result is
	// another pointer. Nil: the system's roots.
	Trust func() *Trust
	// NewSink returns where ends of exchanges go; see [Sink]. It must not be nil.
	NewSink func() Sink
	// OnSend is called for every packet that is sent for an owner, on the packet
	// path and with locks held: it must not call the set. Nil: nothing.
	OnSend func(owner Owner, server netip.AddrPort)
	// OnLoop is called when DetectLoops finds that a server loops. It must not
	// call the set. Nil: Logger gets it.
	OnLoop func(server netip.AddrPort)
	// Logger gets changes of servers' health and socket errors, rate-limited.
	// Nil discards them.
	Logger *slog.Logger
}

const (
	defaultPayload      = 1232
	defaultTimeout      = 4 * time.Second
	defaultTCPExchanges = 512
)

// withDefaults returns c with zero fields filled in, or all that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.NewSink == nil {
		errs = append(errs, errors.New("NewSink is missing"))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Payload == 0 {
		c.Payload = defaultPayload
	}
	c.Payload = max(c.Payload, 512)
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

// udp is the part of c that UDP needs.
func (c *Config) udp(servers int) transport.UDPConfig {
	return transport.UDPConfig{
		Sockets: c.Sockets, Servers: servers, Uses: c.SocketUses, Age: c.SocketAge,
		Port: c.Port, MinPort: c.MinPort, MaxPort: c.MaxPort, Payload: c.Payload,
	}
}
