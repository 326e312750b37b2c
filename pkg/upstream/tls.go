package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/collect"
	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
)

// maxTLSDials bounds the connections to TLS servers that are waiting to be made.
const maxTLSDials = 512

// HandshakeBuckets are the upper bounds of the buckets of TLSStats.Seconds, in seconds.
//
//nolint:gochecknoglobals // a constant table
var HandshakeBuckets = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2}

// TLSReasons are the names of the reasons in TLSStats.Failures.
//
//nolint:gochecknoglobals // a constant table
var TLSReasons = func() (names [transport.FaultReasons]string) {
	for r := range names {
		names[r] = transport.FaultReason(r).String()
	}
	return names
}()

// TLSStats holds the counters of the connections to one server.
type TLSStats struct {
	// Full, Resumed and Failed count handshakes.
	Full, Resumed, Failed uint64
	// Failures counts, in the order of [TLSReasons], the failed handshakes and the
	// connections that ended before they brought any reply.
	Failures [transport.FaultReasons]uint64
	// Seconds counts successful handshakes by duration, including the time to connect. The
	// buckets are those of [HandshakeBuckets] and are cumulative. Sum is the sum of all
	// durations.
	Seconds [len(HandshakeBuckets) + 1]uint64
	Sum     time.Duration // see Seconds
	// Open is the number of open connections.
	Open int
	// Expiry is when the first certificate of the server's chain expires, zero if unknown.
	Expiry time.Time
	// Problem is why the server cannot be asked, "" if it can.
	Problem string
}

// tlsState is what is known about the connections to one server.
type tlsState struct {
	// fault is the last fault, nil if the server has answered since.
	fault atomic.Pointer[transport.TLSFault]
	once  atomic.Int64 // when it was last logged that the server answers once

	mu     sync.Mutex // guards what follows; taken alone, or after Set.health
	counts TLSStats
	pause  time.Duration // after it
}

func (t *tlsState) stats(on bool) *TLSStats {
	if !on {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.counts
	st.Problem = t.reason()
	return &st
}

// reason is why the server cannot be asked, "" if it can.
func (t *tlsState) reason() string {
	if f := t.fault.Load(); f != nil {
		return f.Error()
	}
	return ""
}

func (t *tlsState) nextTry() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pause.Round(time.Millisecond)
}

// note counts an event of a connection.
func (t *tlsState) note(h *transport.Handshake) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	switch h.Kind {
	case transport.Opened:
		if h.Resumed {
			c.Resumed++
		} else {
			c.Full++
		}
		c.Seconds[collect.Bucket(HandshakeBuckets[:], h.Took)]++
		c.Sum += h.Took
		c.Open++
		c.Expiry = h.Expiry
		// The server may still refuse our client certificate, so the fault is cleared only
		// when the server answers.
	case transport.Refused:
		c.Failures[h.Fault.Reason]++
		if h.Early {
			c.Failed++
		}
		t.fault.Store(h.Fault)
	case transport.Gone:
		c.Open--
	}
}

// answered records that the server has answered.
func (t *tlsState) answered() {
	if t.fault.Load() != nil {
		t.fault.Store(nil)
	}
}

var systemTrust = new(Trust) //nolint:gochecknoglobals // loaded once, from the system

// trust returns the certificates for the next handshake.
func (s *Set) trust() *Trust {
	if trust := s.cfg.Load().Trust; trust != nil {
		return trust()
	}
	return systemTrust
}

// shaken handles an event of a connection to srv: it counts it, and tells the policy and the log.
func (s *Set) shaken(srv *server, h *transport.Handshake, now int64) {
	srv.tls.note(h)
	switch h.Kind {
	case transport.Opened:
		s.health.Lock()
		srv.health.Connected(true)
		s.health.Unlock()
	case transport.Gone:
		s.health.Lock()
		srv.health.Connected(h.Others > 0)
		s.health.Unlock()
	case transport.Refused:
		if h.Others > 0 {
			s.spareFailed(srv, h.Fault)
			break
		}
		s.health.Lock()
		pause := srv.health.HandshakeFailed(policy.Time(now))
		s.health.Unlock()
		srv.tls.mu.Lock()
		srv.tls.pause = pause
		srv.tls.mu.Unlock()
	case transport.AnswersOnce:
		const every = int64(15 * time.Minute)
		if last := srv.tls.once.Load(); (last == 0 || now-last >= every) && srv.tls.once.CompareAndSwap(last, now) {
			log := s.cfg.Load().Logger.With("server", srv.label())
			if srv.spec.TLS.Clear {
				log.Warn("server closes the connection after each answer: each question costs a connection")
				break
			}
			log.Warn("server closes the connection after each answer: each question costs a handshake")
		}
	}
}

// spareFailed logs, at a limited rate, that one more connection failed while others still
// work.
func (s *Set) spareFailed(srv *server, fault error) {
	if n, ok := s.sockLogs.Allow(s.now()); ok {
		s.cfg.Load().Logger.Warn("cannot open one more connection to a server; those that are open still work",
			slog.String("server", srv.label()), slog.Any("error", fault), lograte.Suppressed(n))
	}
}

// tlsError says why no TLS server of a group brought an answer.
type tlsError struct {
	base error
	text string
}

func (e *tlsError) Error() string { return "TLS: " + e.text }

func (e *tlsError) Unwrap() error { return e.base }

// explain adds to err, the error of an exchange, what is wrong with the TLS servers of the
// group.
func (g *Group) explain(err error) error {
	if !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrTimeout) {
		return err
	}
	for _, srv := range g.servers {
		if !srv.spec.TLS.Encrypted() {
			return err
		}
		if text := srv.tls.reason(); text != "" {
			return &tlsError{base: err, text: text}
		}
	}
	return err
}

// unmixed returns an error if the routes could send a domain's names over TLS at one time and
// in clear text at another, or give servers over TLS for a domain that goes to the standard
// servers in clear text.
func unmixed(routes []Route) error {
	profiled := func(s Server) bool { return s.TLS != TLS{} }
	if !slices.ContainsFunc(routes, func(r Route) bool { return slices.ContainsFunc(r.Servers, profiled) }) {
		return nil
	}
	domains := map[dnsname.Domain]kinds{}
	for i := range routes {
		k, err := domains[routes[i].Domain].with(routes[i].Servers)
		if err != nil {
			return err
		}
		domains[routes[i].Domain] = k
	}
	for i := range routes { // now that all servers without a domain are known
		domain, all := routes[i].Domain, domains[dnsname.Domain{}]
		k := domains[domain]
		if routes[i].Standard {
			k = kinds{plain: cmp.Or(k.plain, all.plain), secure: cmp.Or(k.secure, all.secure)}
		}
		if k.plain != "" && k.secure != "" {
			return fmt.Errorf("%s would be asked over TLS, but %s in clear text about the same names%s; use one kind of servers for a domain",
				k.secure, k.plain, of(domain))
		}
	}
	return nil
}

// kinds are one plain server and one TLS server of a domain, "" for none.
type kinds struct{ plain, secure string }

// with returns k with the last server of each kind, or an error if a server's TLS profile is not
// valid.
func (k kinds) with(servers []Server) (kinds, error) {
	for _, srv := range servers {
		if srv.TLS.Encrypted() {
			k.secure = srv.String()
		} else {
			k.plain = srv.String()
		}
		if n := len(srv.TLS.Pins); n%32 != 0 || !srv.TLS.Encrypted() && srv.TLS != (TLS{On: srv.TLS.On, Clear: srv.TLS.On}) {
			return k, fmt.Errorf("server %v: invalid TLS profile", srv)
		}
	}
	return k, nil
}

func of(d dnsname.Domain) string {
	if text := d.String(); text != "" {
		return " (domain " + text + ")"
	}
	return ""
}
