package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Server is one server to ask and the way to it. It is comparable: equal ones
// are asked once and keep their health over a Reload.
type Server struct {
	// Addr is the server's address, maybe with a zone, and port.
	Addr netip.AddrPort
	// Source is the local address to send from, not valid for any; its port is
	// 0 for a random one (--server=...@source#port).
	Source netip.AddrPort
	// Interface is the network interface to leave by, "" for any.
	Interface string
}

// Route says what to do with the names of a domain. Routes of one domain add
// up, in order.
type Route struct {
	Domain dnsname.Domain
	// Servers are asked.
	Servers []Server
	// Standard asks the servers of the routes for all names ("/domain/#").
	Standard bool
	// Local asks nobody: names without local data do not exist ("/domain/").
	Local bool
	// Addrs answer A and AAAA questions, and Zero answers them with the
	// unspecified address, without asking anybody (--address). A question of
	// a type that they do not answer goes on to Servers of the same domain,
	// then to shorter domains.
	Addrs []netip.Addr
	Zero  bool
}

// Strategy says which servers of a group are asked.
type Strategy uint8

const (
	// Fastest asks the server that answered fastest and all of them now and
	// then (dnsmasq's default).
	Fastest Strategy = iota
	// InOrder asks the first one that is well, in the order of the
	// configuration (--strict-order).
	InOrder
	// All asks all of them at once (--all-servers).
	All
)

// Config says whom to ask and how. The zero value of a field means its
// default.
type Config struct {
	// Routes may be empty: every lookup is then [Nobody].
	Routes   []Route
	Strategy Strategy
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
	// loopback address, else 256. An attacker who cannot see the traffic has
	// to guess one of them besides the id.
	Sockets int
	// SocketUses and SocketAge bound a socket's life. Defaults: 1<<16 and 5 min
	// for a loopback address, else 1<<10 and 1 min.
	SocketUses int
	SocketAge  time.Duration
	// Port is the one local UDP port to use (--query-port), MinPort and MaxPort
	// bound the random ones (--min-port, --max-port). 0 leaves the choice to
	// the kernel.
	Port, MinPort, MaxPort uint16
	// MixCase draws the case of the letters in questions over UDP at random and
	// takes only replies that repeat it (--do-0x20-encode). A server that never
	// does is asked without. Owners hear of names in the case that they asked for.
	MixCase bool
	// DetectLoops asks each server for all names a question that nobody else
	// asks, when Run begins and at each Reload. A server from which the question
	// comes back, as told by [Set.Looped], is not asked any more
	// (--dns-loop-detect).
	DetectLoops bool
	// TCPExchanges bounds the exchanges over TCP at a time. Default: 128.
	TCPExchanges int
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
	defaultTCPExchanges = 128

	loopbackSockets, loopbackUses, loopbackAge = 4, 1 << 16, 5 * time.Minute
	remoteSockets, remoteUses, remoteAge       = 256, 1 << 10, time.Minute
)

// withDefaults returns c with zero fields filled in, or all that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.NewSink == nil {
		errs = append(errs, errors.New("no sink"))
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
		errs = append(errs, fmt.Errorf("the least port %d is above the greatest, %d", c.MinPort, c.MaxPort))
	}
	for _, r := range c.Routes {
		for _, s := range r.Servers {
			switch {
			case !s.Addr.IsValid() || s.Addr.Port() == 0:
				errs = append(errs, fmt.Errorf("%v is no server's address", s.Addr))
			case s.Source.IsValid() && s.Source.Addr().Is4() != s.Addr.Addr().Is4():
				errs = append(errs, fmt.Errorf("server %v cannot be asked from %v", s.Addr, s.Source.Addr()))
			}
		}
	}
	return c, errors.Join(errs...)
}
