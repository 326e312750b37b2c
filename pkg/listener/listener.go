package listener

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"
)

// Sizes that the DNS protocol fixes.
const (
	// MaxMessageBytes is the largest message that a reply may hold (RFC 1035
	// §4.2.2: the length prefix has 16 bits).
	MaxMessageBytes = 65535
	// minMessageBytes is the header; what is shorter cannot be answered
	// because it has no id (RFC 1035 §4.1.1).
	minMessageBytes = 12
)

// Defaults of [Config].
const (
	defaultPacketBytes    = 4096
	defaultSocketBytes    = 1 << 20
	defaultMaxConns       = 1024
	defaultConnsPerClient = 256
	defaultMaxPending     = 128
	defaultMaxBufferBytes = 8 << 20
	defaultIdleTimeout    = 10 * time.Second // RFC 7766 §6.2.3: "on the order of a few seconds"
	defaultReadTimeout    = 5 * time.Second
	defaultWriteTimeout   = 5 * time.Second
	defaultPendingTimeout = 20 * time.Second
	defaultGrace          = time.Second
)

// Handler answers DNS messages: bytes in, bytes out.
type Handler interface {
	// Handle is called on the goroutine of the socket or connection and must
	// not block. It is called from several goroutines at the same time.
	//
	// packet holds at least a DNS header (12 octets). It is valid only during
	// the call and may be changed by it.
	//
	// reply is an empty slice with a capacity of at least [MaxMessageBytes]
	// into which the answer may be appended; like the returned slice it belongs
	// to the listener again when Handle returns. When the returned slice is not
	// empty it is sent to to with the next batch. When it is empty nothing is
	// sent now; the handler either answers later with to.Send or a [Batch], or
	// calls to.Drop, at once or later, when it never will.
	Handle(packet []byte, to ReplyTo, reply []byte) []byte
}

// Worker is a [Handler] as one goroutine at a time may use it, such as that of a
// UDP socket or of a TCP connection. So it needs neither locks nor shared
// counters, and may collect work over the packets of a batch.
type Worker interface {
	Handler
	// Preview is called with the packets of a batch of several before Handle is
	// called for each of them, in this order, so that what they need from memory
	// can be fetched for all at a time. packets is valid during the call, what
	// they hold until the next call of Flush. Handle must work without it too.
	Preview(packets [][]byte)
	// Flush is called after the packets that arrived together were handled and
	// before the goroutine waits for more. Like Handle it must not block.
	Flush()
}

// Splitter is a [Handler] that has a [Worker] for each goroutine. The listener
// then calls only Split and the workers.
type Splitter interface {
	Handler
	// Split returns a new worker.
	Split() Worker
}

// Sink takes answers: the sockets and connections of this package, and fakes
// in tests of handlers.
type Sink interface {
	// Send sends msg to to.Peer(). It may be called from any goroutine, does
	// not block, and does not keep msg. An empty msg means that the query will
	// never be answered.
	Send(to ReplyTo, msg []byte)
}

// Config says where to listen and within which bounds. The zero value of every
// field but Addrs and Handler means its default.
type Config struct {
	// Addrs are the addresses to serve, each over UDP and TCP. Port 0 takes a
	// free port, the same for both. An IPv4 wildcard serves IPv4 only, an IPv6
	// wildcard IPv6 only. Repeated addresses count once.
	Addrs []netip.AddrPort
	// Dynamic allows no Addrs at all: Update brings some later.
	Dynamic bool
	// Handler answers. It must not be nil.
	Handler Handler
	// OnPanic answers a query whose Handle panicked, typically with SERVFAIL,
	// under the same rules as Handle; packet may have been changed by Handle.
	// Nil sends nothing.
	OnPanic func(packet []byte, to ReplyTo, reply []byte) []byte
	// Logger gets rate-limited socket errors and panics. Nil discards them.
	Logger *slog.Logger

	// Sockets is the number of UDP sockets per address. Default: GOMAXPROCS.
	Sockets int
	// PacketBytes is the largest UDP query taken, at least 512; larger ones are
	// dropped and counted. Default: 4096.
	PacketBytes int
	// SocketBufferBytes is asked of the kernel for each UDP socket, in both
	// directions; the kernel may grant less. Default: 1 MiB.
	SocketBufferBytes int

	// MaxConns bounds the TCP connections of all clients together. At the bound
	// a new connection replaces one that is idle, else one that has stalled
	// (sends a message, or takes answers, too slowly), else a busy one of the
	// client with most connections, if that client has more than the new one
	// would have; of several, the one whose last query or answer is oldest. When
	// there is none the new connection is refused. Default: 1024.
	MaxConns int
	// MaxConnsPerClient bounds the TCP connections of one client address. At the
	// bound a new connection replaces an idle or stalled one of the same client,
	// or is refused. Default: 256, at most half of MaxConns.
	MaxConnsPerClient int
	// MaxPending bounds the unanswered queries of one TCP connection; at the
	// bound the connection is not read. A query that the handler neither answers
	// nor drops counts until the connection ends. Default: 128.
	MaxPending int
	// MaxBufferBytes bounds the memory of all TCP connections for messages that
	// clients send or take only slowly, a quarter of it that of one. A connection
	// that needs more is closed. Default: 8 MiB.
	MaxBufferBytes int
	// IdleTimeout closes a TCP connection that has no unanswered query and saw
	// neither a query nor an answer for that long. Default: 10 s.
	IdleTimeout time.Duration
	// ReadTimeout bounds the time from the first octet of a message on a TCP
	// connection to its last. Default: 5 s.
	ReadTimeout time.Duration
	// WriteTimeout bounds the time in which a TCP client must take 64 KiB of
	// answers that the kernel could not take at once. Default: 5 s.
	WriteTimeout time.Duration
	// PendingTimeout closes a TCP connection that has unanswered queries and saw
	// neither a query nor an answer for that long. It has to be longer than the
	// handler's slowest answer. Default: 20 s.
	PendingTimeout time.Duration
	// Grace is how long TCP connections may still send answers after the context
	// of Run was cancelled. Default: 1 s.
	Grace time.Duration
}

// withDefaults returns cfg with every zero field filled in, or every reason why
// it cannot be used.
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
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	errs = append(errs, fill("MaxConns", &cfg.MaxConns, defaultMaxConns))
	errs = append(errs,
		fill("Sockets", &cfg.Sockets, runtime.GOMAXPROCS(0)),
		fill("PacketBytes", &cfg.PacketBytes, defaultPacketBytes),
		fill("SocketBufferBytes", &cfg.SocketBufferBytes, defaultSocketBytes),
		fill("MaxConnsPerClient", &cfg.MaxConnsPerClient, min(defaultConnsPerClient, (cfg.MaxConns+1)/2)),
		fill("MaxPending", &cfg.MaxPending, defaultMaxPending),
		fill("MaxBufferBytes", &cfg.MaxBufferBytes, defaultMaxBufferBytes),
		fill("IdleTimeout", &cfg.IdleTimeout, defaultIdleTimeout),
		fill("ReadTimeout", &cfg.ReadTimeout, defaultReadTimeout),
		fill("WriteTimeout", &cfg.WriteTimeout, defaultWriteTimeout),
		fill("PendingTimeout", &cfg.PendingTimeout, defaultPendingTimeout),
		fill("Grace", &cfg.Grace, defaultGrace),
	)
	if cfg.PacketBytes < 512 {
		errs = append(errs, fmt.Errorf("PacketBytes is %d, less than the 512 of RFC 1035 §4.2.1", cfg.PacketBytes))
	}
	return cfg, errors.Join(errs...)
}

// fill puts def into a zero field and refuses a negative one.
func fill[T int | time.Duration](name string, field *T, def T) error {
	switch {
	case *field < 0:
		return fmt.Errorf("%s is negative: %v", name, *field)
	case *field == 0:
		*field = def
	}
	return nil
}
