// Package upstream asks other servers. It knows which servers a name belongs to
// ([Table]), which of them are well ([Server] health inside a [Set]), and how to
// exchange messages with them without a goroutine per question.
//
//	Send ──► exchange ──► server by health ──► random socket, random id ──► queue
//	Flush ──────────────────────────────────── sendmmsg per socket ◄────────┘
//	reader (epoll) ── recvmmsg ──► id, question ──► exchange ──► Owner.Done
//	ticker ──► retries, deadlines
//
// An exchange is one question of one asker. It makes one attempt or several:
// each attempt has a socket of its server's pool and an id of its own, both
// random, and stays open until the exchange ends, so a late answer is still
// good. Sockets are connected, hence the kernel drops what comes from elsewhere
// and reports refused ports. A reply counts only if socket, id and question
// match (RFC 5452 §9.1), with Config.MixCase also the case of the question's
// letters; others are counted and waited past.
//
// A truncated reply is asked for again over TCP. Connections are few, shared
// and pipelined; each has two goroutines and ends when it is idle. A question
// whose connection is lost is asked once more on a fresh one.
//
// Nothing is allocated for an exchange in the steady state: exchanges are
// pooled, the pending attempts of a socket live in a small table keyed by id.
// An exchange holds one reference for itself and one for each attempt in a
// table, so a reader that took an attempt out of a table can rely on it.
//
// Locks, in the order in which they may be taken: exchange, pool (of sockets or
// connections), socket or connection;
// registry is taken alone or last. Owners are called without any lock, but for
// Owner.Slow.
package upstream
