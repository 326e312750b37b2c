// Package upstream asks upstream servers. Use [New] with routes and
// [Set.Run]; then look up the servers of a name in [Set.Table] and [Set.Send] a
// question to them. The [Owner] of the question hears the outcome:
//
//	set, err := upstream.New(cfg)
//	go set.Run(ctx)
//	if d := set.Table().Lookup(name, qtype); d.Kind == upstream.Ask {
//		set.Send(d.Group, &question, 0, owner)
//		set.Flush()
//	}
//
// The package joins three rooms, which do not know each other:
//
//	route      which servers a name belongs to
//	policy     whom to ask, when to ask again, what to accept: no I/O, no clock
//	transport  sockets and connections, in clear and over TLS: no decisions
//
// An exchange is one question of one owner. Whatever happens to it (a reply, a
// socket error, the ticker) is given to its policy.Query as an event, and the
// actions that come back are carried out on the links of its servers:
//
//	Send ─────────────► exchange ─ event ──► policy.Query
//	transport ─ reply ─►   │    ◄─ actions ─      │
//	ticker ───────────►    │                 policy.Server (health)
//	                       └─► transport.Link, Owner.Done
//
// Nothing is allocated for an exchange in the steady state: exchanges are
// pooled. An exchange counts the references to it: one for itself while it is in
// the registry, one for each call that a transport has, one for whoever works on
// it.
//
// Locks, in the order in which they may be taken: exchange; health (of all
// servers, held for one step of a policy) or a lock of a transport. registry is
// taken alone. Owners are called without any lock, except for Owner.Slow and
// Judge.
package upstream
