// Package listener owns the UDP and TCP sockets of a DNS server. It knows no
// DNS beyond "bytes in, bytes out": a [Handler] gets each message together
// with a [ReplyTo] and answers at once, by returning the reply, or later, from
// any goroutine, through the ReplyTo.
//
//	                        ┌── recvmmsg ──► Handle ──► reply arena ── sendmmsg ──┐
//	UDP socket, one per core┤                  │ nothing now                      ├─► peer
//	                        └──────────────────┼── ReplyTo.Send / Batch.Flush ────┘
//	TCP connection ── frames ──► Handle ───────┴──► queue of framed answers ──────► peer
//
// Each address has one UDP socket per core that share the port
// (SO_REUSEPORT), so the kernel spreads clients over the cores and a query is
// received, handled and answered on one goroutine. A batch of packets costs
// one recvmmsg and one sendmmsg and no allocation: the loop runs inside
// [syscall.RawConn.Read], so the runtime's poller parks it and Close ends it.
//
// Of an echo's 4.6 µs of processor time per packet under load, the kernel takes
// 4.4. Tried and left out: locking the goroutines to threads (1.3 times the
// cost under load, 2.2 times for lone packets, because waking means switching
// threads), batches of 64, asking again until the queue is empty, and parking
// after every short batch (no difference).
//
// A handler may have a [Worker] for each goroutine ([Splitter]), which sees the
// packets of a batch together before it gets them one by one: what it needs from
// memory then comes for all of them at a time.
//
// SO_REUSEPORT would also let a second process join the port in silence. So
// the first socket of each address is bound without the option, which fails
// when anyone has the port, and gets it afterwards; only then do its siblings
// bind. There is no moment at which a second process could slip in, because
// its own first socket has to bind exclusively too.
//
// On a wildcard address each answer leaves from the address that was asked
// (IP_PKTINFO, IPV6_PKTINFO). "0.0.0.0" is IPv4 only and "[::]" is IPv6 only.
//
// TCP follows RFC 7766: queries may be pipelined, answers leave in the order
// in which they become ready, and a client may close its sending side and
// still get every answer. Answers are queued per connection and written
// without blocking whoever sends them. A connection that waits holds no
// buffers, and what slow clients make connections hold is bounded.
package listener
