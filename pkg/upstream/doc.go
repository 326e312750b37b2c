// Package upstream sends questions to upstream servers. Call [New] with routes, and
// [Set.Run]; then look up the servers for a name in [Set.Table], and send them a question
// with [Set.Send]. The [Owner] of the question is told the outcome:
//
//	set, err := upstream.New(cfg)
//	go set.Run(ctx)
//	if d := set.Table().Lookup(name, qtype); d.Kind == upstream.Ask {
//		set.Send(d.Group, &question, 0, owner)
//		set.Flush()
//	}
//
// The package connects three others, of which transport knows only what a route.Server is:
//
//	route      which servers a name belongs to
//	policy     which server to ask, when to ask again, what to accept: no I/O, no clock
//	transport  sockets and connections, in clear and over TLS: no decisions
//
// An exchange is one question of one owner. Whatever happens to it (a reply, a socket error,
// the passing of time) is passed to its policy.Query as an event, and the actions that this
// returns are carried out on the links to the servers:
//
//	Send ─────────────► exchange ─ event ──► policy.Query
//	transport ─ reply ─►   │    ◄─ actions ─      │
//	ticker ───────────►    │                 policy.Server (health)
//	                       └─► transport.Link, Owner.Done
//
// In the steady state, an exchange allocates nothing, because exchanges are pooled. An
// exchange counts the references to it: one of the registry that holds it, one for each call
// that a transport has, and one of each goroutine that works on it.
//
// Locks, in the order in which they may be taken: exchange; then health (of all servers, held
// for one step of a policy) or a lock of a transport. A registry's lock is taken alone.
// Owners are called without any lock held, except for Owner.Slow, Sent and Ignores.
package upstream
