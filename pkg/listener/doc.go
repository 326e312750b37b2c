// Package listener owns the UDP and TCP sockets of a DNS server.
//
// Use [Listen] to bind the addresses, and [Server.Run] to answer queries until its
// context ends. The listener does not interpret DNS messages: a [Handler] gets the
// octets of each message together with a [ReplyTo], and answers either at once, by
// returning the reply, or later, from any goroutine, through the ReplyTo.
//
//	                        ┌── recvmmsg ──► Handle ──► reply arena ── sendmmsg ──┐
//	UDP socket, one per core┤                  │ nothing now                      ├─► peer
//	                        └──────────────────┼── ReplyTo.Send / Batch.Flush ────┘
//	TCP connection ── frames ──► Handle ───────┴──► queue of framed answers ──────► peer
//
// Each address has one UDP socket for each core, and they share the port
// (SO_REUSEPORT). The kernel thus spreads clients over the cores, and a query is
// received, handled and answered on one goroutine. A batch of packets takes one
// recvmmsg, one sendmmsg and no allocation. The loop runs inside
// [syscall.RawConn.Read], so that Go's network poller parks it and Close ends it.
//
// A packet of an echo server under load takes 4.6 µs of processor time, of which the
// kernel takes 4.4. These were tried and did not help: locking the goroutines to
// threads (1.3 times the time under load, 2.2 times for single packets, because
// waking up means switching threads), batches of 64, receiving again until the queue
// is empty, and parking after every short batch (no difference).
//
// A handler may provide a [Worker] for each goroutine ([Splitter]). The worker sees
// all packets of a batch before it handles them one by one, so that it can fetch the
// memory that they need at the same time.
//
// With SO_REUSEPORT alone, a second process could silently share the port.
// Therefore the first socket of each address is bound without the option, which
// fails if any process has the port; then it gets the option, and the other sockets
// are bound. A second process cannot join in between, because its own first socket
// must be bound exclusively too.
//
// On a wildcard address each answer is sent from the address that received the
// query (IP_PKTINFO, IPV6_PKTINFO). "0.0.0.0" means IPv4 only and "[::]" IPv6 only.
//
// TCP follows RFC 7766: clients may pipeline queries, answers are sent in the order
// in which they become ready, and a client that closes its sending side still gets
// every answer. Answers are queued for each connection and written without blocking
// the sender. An idle connection holds no buffers, and the memory that slow clients
// can occupy is limited.
package listener
