package listener

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"time"
)

// Sizes defined by the DNS protocol, in octets.
const (
	// MaxMessageBytes is the size of the largest message (RFC 1035 §4.2.2: the
	// length prefix has 16 bits).
	MaxMessageBytes = 65535
	// minMessageBytes is the size of the header (RFC 1035 §4.1.1). A shorter message
	// cannot be answered.
	minMessageBytes = 12
)

const (
	// packetBytes is the size of the largest UDP query accepted, in octets. Larger ones are
	// dropped and counted.
	packetBytes = 4096
	// socketBufferBytes is the size of the receive and of the send buffer that the kernel is
	// asked for, for each UDP socket; it may grant less.
	socketBufferBytes = 1 << 20
)

// Handler answers DNS messages.
type Handler interface {
	// Handle is called on the goroutine of the socket or connection and must
	// not block. It is called from several goroutines at the same time.
	//
	// packet holds at least a DNS header (12 octets). It is valid only during
	// the call and may be changed by it.
	//
	// reply is an empty slice with a capacity of at least [MaxMessageBytes], to which
	// the answer may be appended. It and the returned slice belong to the listener
	// when Handle returns. If the returned slice is not empty, it is sent to to with
	// the next batch. If it is empty, nothing is sent now; the handler must either
	// answer later with to.Send or a [Batch], or call to.Drop, at once or later, if it
	// will never answer.
	Handle(packet []byte, to ReplyTo, reply []byte) []byte
}

// Worker is a [Handler] that only one goroutine uses at a time, such as that of a UDP
// socket or of a TCP connection. It therefore needs no locks or shared counters, and
// may collect work while a batch of packets is handled.
type Worker interface {
	Handler
	// Preview is called with the packets of a batch, if there is more than one,
	// before Handle is called for each of them in the same order. The worker can thus
	// fetch the memory that they need at the same time. packets is valid during the
	// call, its elements until the next call of Flush. Handle must also work without
	// Preview.
	Preview(packets [][]byte)
	// Flush is called after the packets of a batch have been handled and before the
	// goroutine waits for more. It must not block.
	Flush()
}

// Splitter is a [Handler] that provides a [Worker] for each goroutine. The listener
// then calls only Split and the workers' methods.
type Splitter interface {
	Handler
	// Split returns a new worker.
	Split() Worker
}

// Sink receives answers. The sockets and connections of this package implement it,
// and so do fakes in tests of handlers.
type Sink interface {
	// Send sends msg to to.Peer(). It may be called from any goroutine, does
	// not block, and does not keep msg. An empty msg means that the query will
	// never be answered.
	Send(to ReplyTo, msg []byte)
}

// Config says where to listen and sets the limits. Addrs and Handler are necessary.
type Config struct {
	// Addrs are the addresses to serve, each over UDP and TCP. For port 0 a free port
	// is chosen, the same for both. An IPv4 wildcard serves only IPv4, an IPv6
	// wildcard only IPv6. Duplicates are ignored.
	Addrs []netip.AddrPort
	// Dynamic allows Addrs to be empty; Update can add addresses later.
	Dynamic bool
	// Share lets other processes of the same user that share their ports too listen on
	// the same addresses and ports, and allows addresses that no interface has yet. The
	// kernel then spreads clients over the processes. Without it, a port that any other
	// process has is an error.
	Share bool
	// Inherited are the sockets of addresses that another process has bound and passed to
	// this one, as [Server.Files] returns them. They are used in place of new ones, and set
	// the number of UDP sockets. Listen takes over the files, and may change the map.
	Inherited map[netip.AddrPort][]*os.File
	// Handler answers the queries. It must not be nil.
	Handler Handler
	// OnPanic answers a query whose Handle panicked, typically with SERVFAIL,
	// under the same rules as Handle; packet may have been changed by Handle.
	// Nil sends nothing.
	OnPanic func(packet []byte, to ReplyTo, reply []byte) []byte
	// Logger receives socket errors and panics, at a limited rate. Nil discards them.
	Logger *slog.Logger

	// MaxConns is the largest number of TCP connections of all clients together. When
	// it is reached, a new connection replaces an idle one; otherwise a stalled one,
	// whose client sends a message or receives answers too slowly; otherwise a busy
	// one of the client with the most connections, if that client has more than the
	// client of the new one would have. Of several, the one whose last query or
	// answer is oldest is replaced. If there is none, the new connection is refused.
	// Default: 1024.
	MaxConns int
	// The fields below are the same in all programs; only tests change them. Zero stands for
	// the default.

	// sockets is the number of UDP sockets for each address. Default: GOMAXPROCS, or what is
	// inherited.
	sockets int
	// maxConnsPerClient is the largest number of TCP connections of one client address. When it
	// is reached, a new connection replaces an idle or stalled one of the same client, or is
	// refused. Default: 256, at most half of MaxConns.
	maxConnsPerClient int
	// maxPending is the largest number of unanswered queries of one TCP connection. When it is
	// reached, the connection is not read. A query that the handler neither answers nor drops
	// counts until the connection ends. Default: 128.
	maxPending int
	// maxBufferBytes is the most memory, in octets, that all TCP connections together may use
	// for messages that clients send or receive slowly. One connection may use a quarter of it,
	// and is closed if it needs more. Default: 8 MiB.
	maxBufferBytes int
	// idleTimeout is how long a TCP connection without unanswered queries stays open after its
	// last query or answer. Default: 10 s (RFC 7766 §6.2.3: "on the order of a few seconds").
	idleTimeout time.Duration
	// readTimeout is the longest time from the first octet of a message on a TCP connection to
	// its last. Default: 5 s.
	readTimeout time.Duration
	// writeTimeout is the time within which a TCP client must receive 64 KiB of answers that
	// the kernel could not accept at once. Default: 5 s.
	writeTimeout time.Duration
	// pendingTimeout is how long a TCP connection with unanswered queries stays open after its
	// last query or answer, longer than the slowest answer takes. Default: 20 s.
	pendingTimeout time.Duration
	// grace is how long TCP connections may still send answers after the context of Run has
	// ended. Default: 1 s.
	grace time.Duration
}

// withDefaults returns cfg with defaults in place of zero fields, and an error with
// every fault in it.
func (cfg Config) withDefaults() (Config, error) {
	var errs []error
	if len(cfg.Addrs) == 0 && !cfg.Dynamic {
		errs = append(errs, errors.New("no address to listen on"))
	}
	for _, a := range cfg.Addrs {
		if !a.IsValid() {
			errs = append(errs, fmt.Errorf("invalid address to listen on: %v", a))
		}
	}
	if cfg.Handler == nil {
		errs = append(errs, errors.New("no handler"))
	}
	inherited, err := inheritedSockets(cfg.Inherited)
	if err != nil {
		errs = append(errs, err)
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.MaxConns = cmp.Or(max(cfg.MaxConns, 0), 1024)
	cfg.sockets = cmp.Or(inherited, cfg.sockets, runtime.GOMAXPROCS(0))
	cfg.maxConnsPerClient = cmp.Or(cfg.maxConnsPerClient, min(256, (cfg.MaxConns+1)/2))
	cfg.maxPending = cmp.Or(cfg.maxPending, 128)
	cfg.maxBufferBytes = cmp.Or(cfg.maxBufferBytes, 8<<20)
	cfg.idleTimeout = cmp.Or(cfg.idleTimeout, 10*time.Second)
	cfg.readTimeout = cmp.Or(cfg.readTimeout, 5*time.Second)
	cfg.writeTimeout = cmp.Or(cfg.writeTimeout, 5*time.Second)
	cfg.pendingTimeout = cmp.Or(cfg.pendingTimeout, 20*time.Second)
	cfg.grace = cmp.Or(cfg.grace, time.Second)
	return cfg, errors.Join(errs...)
}
