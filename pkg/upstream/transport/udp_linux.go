package transport

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/mmsg"
	"github.com/kube-dns/kube-dns/pkg/upstream/route"
)

// UDPConfig says how UDP is used. The zero value of a field means its default.
type UDPConfig struct {
	// Payload is the UDP payload size that we advertise (--edns-packet-max), and so that of the
	// largest expected reply, in octets. Package upstream has the default.
	Payload uint16
	// Sockets is the number of sockets per server. An attacker who cannot see the traffic has
	// to guess the port of the right one as well as the message ID. Default: 4 for a loopback
	// address, otherwise 256, or fewer if the limit of open files requires it.
	Sockets int
	// SocketUses (questions) and SocketAge limit how long a socket is used. Defaults: 1<<16 and
	// 5 min for a loopback address, otherwise 1<<10 and 1 min.
	SocketUses int
	SocketAge  time.Duration // see SocketUses
	// Port is the only local UDP port to use (--query-port). MinPort and MaxPort bound the
	// random ports (--min-port, --max-port). 0 leaves the choice to the kernel.
	Port, MinPort, MaxPort uint16
}

// udpSettings is the configuration in effect.
type udpSettings struct {
	UDPConfig
	remote int // sockets per server that is not on loopback, unless Sockets says
}

const (
	loopbackSockets, loopbackUses, loopbackAge = 4, 1 << 16, 5 * time.Minute
	remoteSockets, remoteUses, remoteAge       = 256, 1 << 10, time.Minute
	// minSockets is the least number of sockets that a server gets, however few files may be
	// open.
	minSockets = 4
)

// UDP is the transport over UDP.
type UDP struct {
	env      Env                         // what the transport needs from its user
	cfg      atomic.Pointer[udpSettings] // the current configuration
	pollers  []*poller                   // read from the sockets
	outboxes sync.Pool                   // *mmsg.Outbox
	closed   atomic.Bool                 // the transport has been closed
	wrong    atomic.Uint64               // replies that matched no question

	queueMu sync.Mutex   // protects queue and spare
	queue   []*socket    // with something to send; each with a reference
	spare   []*socket    // memory for the next queue
	inQueue atomic.Int32 // number of sockets in queue
}

// NewUDP returns a transport. It must be closed.
func NewUDP(env Env, cfg UDPConfig) (*UDP, error) {
	u := &UDP{env: env}
	u.Configure(cfg, 1)
	u.outboxes.New = func() any { return mmsg.NewOutbox(sendPackets, sendBytes) }
	for range min(runtime.GOMAXPROCS(0), 4) {
		p, err := newPoller()
		if err != nil {
			u.Close()
			return nil, err
		}
		u.pollers = append(u.pollers, p)
	}
	return u, nil
}

// Configure replaces the configuration for the sockets that are opened from now on. servers is
// how many servers there are.
func (u *UDP) Configure(cfg UDPConfig, servers int) {
	u.cfg.Store(&udpSettings{cfg, remotePool(openFilesLimit(), servers)})
}

// WrongReplies returns the number of packets that answered no call.
func (u *UDP) WrongReplies() uint64 { return u.wrong.Load() }

// limits returns the number of sockets in a server's pool, and the greatest number of
// questions and age of a socket.
func (c *udpSettings) limits(ep *route.Server) (sockets, uses int, age time.Duration) {
	if c.fixedPort(ep) != 0 {
		// A second socket with the same two addresses would take the first one's replies.
		return 1, math.MaxInt, math.MaxInt64
	}
	if ep.Addr.Addr().IsLoopback() {
		sockets, uses, age = loopbackSockets, loopbackUses, loopbackAge
	} else {
		sockets, uses, age = c.remote, remoteUses, remoteAge
	}
	if c.Sockets > 0 {
		sockets = c.Sockets
	}
	if c.SocketUses > 0 {
		uses = c.SocketUses
	}
	if c.SocketAge > 0 {
		age = c.SocketAge
	}
	return sockets, uses, age
}

// remotePool returns the number of sockets for each of a number of servers. All of them
// together use at most half of the files that may be open, since sockets that were replaced
// stay open for a while.
func remotePool(files uint64, servers int) int {
	share := int(min(files/2, 1<<20)) / max(servers, 1)
	return min(max(share, minSockets), remoteSockets)
}

// openFilesLimit returns RLIMIT_NOFILE, which the Go runtime has raised to the hard limit at
// the program's start.
func openFilesLimit() uint64 {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		return 1024
	}
	return lim.Cur
}

// fixedPort returns the only local port for a server, or 0 if ports are chosen at random.
func (c *udpSettings) fixedPort(ep *route.Server) uint16 {
	if port := ep.Source.Port(); port != 0 {
		return port
	}
	return c.Port
}

// Link returns a new link to one server.
func (u *UDP) Link(ep route.Server) Link { return &pool{udp: u, ep: ep} }

// Run exchanges messages until ctx ends, and returns when all its goroutines have ended. Calls
// that are open then get no event.
func (u *UDP) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, p := range u.pollers {
		r := &reader{udp: u, poller: p, in: newInbox(int(u.cfg.Load().Payload)), events: u.env.Acquire()}
		wg.Go(r.run)
	}
	<-ctx.Done()
	u.Close()
	wg.Wait()
}

// Close frees the resources that NewUDP took. All links must be closed first.
func (u *UDP) Close() {
	if !u.closed.Swap(true) {
		for _, p := range u.pollers {
			_ = p.file.Close()
		}
	}
}

// How much one system call sends: the number of messages, and their octets. A message with
// long options takes the room of several.
const (
	sendPackets = 32
	sendBytes   = sendPackets * (12 + 255 + 4 + 11)
)

// errTooLong means that a question does not fit into a UDP packet.
var errTooLong = errors.New("the question with its EDNS options is too long for UDP")

// enqueue writes a call's message into its socket's queue.
func (u *UDP) enqueue(c *Call) {
	if u.write(c) {
		u.queueMu.Lock()
		u.queue = append(u.queue, c.sock)
		u.inQueue.Store(int32(len(u.queue)))
		u.queueMu.Unlock()
	}
}

// write adds a call's message to its socket's outbox. It returns true if the caller must put
// the socket into the queue; write has then taken a reference for the queue.
func (u *UDP) write(c *Call) (queue bool) {
	s := c.sock
	s.outMu.Lock()
	defer s.outMu.Unlock()
	if s.out == nil {
		s.out = u.outboxes.Get().(*mmsg.Outbox)
	}
	out := s.out
	if out.Full() || out.Room() < c.roomFor() && out.Len() > 0 {
		_, _ = out.Flush(s.fd) // errors come back through the reader
	}
	msg := c.append(out.Space())
	if c.Mixed {
		mixCase(msg[12:12+len(c.Question.Name)], c.mix)
	}
	out.Put(msg)
	if s.queued {
		return false
	}
	s.queued = true
	s.refs.Add(1)
	return true
}

// Queued reports whether Flush has anything to send.
func (u *UDP) Queued() bool { return u.inQueue.Load() != 0 }

// Flush sends the queued questions, and reports errors to ev.
func (u *UDP) Flush(ev Events) {
	for u.inQueue.Load() != 0 {
		u.queueMu.Lock()
		list := u.queue
		u.queue, u.spare = u.spare[:0], nil
		u.inQueue.Store(0)
		u.queueMu.Unlock()
		for i, s := range list {
			list[i] = nil
			s.outMu.Lock()
			out := s.out
			s.out, s.queued = nil, false
			s.outMu.Unlock()
			if out != nil {
				_, errno := out.Flush(s.fd)
				u.outboxes.Put(out)
				if errno != 0 && errno != unix.EAGAIN && errno != unix.ENOBUFS {
					u.failed(s, ev)
				}
			}
			s.release()
		}
		u.queueMu.Lock()
		u.spare = list[:0]
		u.queueMu.Unlock()
	}
}

// failed handles an error that the kernel reports on a connected socket, such as a closed
// port or a missing route. All calls that wait on the socket have failed.
func (u *UDP) failed(s *socket, ev Events) {
	now := u.env.Now()
	for _, c := range s.takeAll() {
		ev.Failed(c, Unreachable, now)
	}
}

// received handles one packet.
func (u *UDP) received(s *socket, msg []byte, cut bool, now int64, ev Events) {
	c, miscased := s.match(msg)
	switch {
	case c == nil:
		u.wrong.Add(1)
	case miscased:
		u.wrong.Add(1)
		ev.Miscased(c, now)
	default:
		c.asAsked(msg)
		ev.Replied(c, msg, cut, now)
	}
}
