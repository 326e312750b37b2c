// Package forwarder answers DNS queries from a cache or by asking upstream servers, with
// policies of its caller before and after both.
//
// Use [New] with a [Config], run [Forwarder.Run], and pass the forwarder to a
// listener. Use [Forwarder.Resolve] for questions of the program itself.
//
//	Part.Handle ─ Query ─ stages ─ cache ─────────────────────► answer at once
//	                                 │ miss
//	                     equal question in flight? ── join it
//	                                 │ no
//	                     route ── upstream.Set ── flight.Done ── stages,
//	                                              store once, answer all waiters
//
// A [Query] is one query in progress. A flight is one question on its way to upstream
// servers, with all its waiters. A [Stage] is a policy of the caller, such as local data
// or a filter; the forwarder has no policy of its own.
//
// An accepted question always gets an answer: if upstream servers fail or do not answer,
// the client gets a stale answer (if enabled) or SERVFAIL with the reason as an extended
// error, before it gives up.
//
// Equal questions are asked only once. Two questions are equal if the same query would
// be sent for both: name in any case, type, class, RD, AD, CD and DO. Each client gets
// its own id, spelling, message size and OPT record. Options in the client's OPT record
// are not forwarded, because EDNS is for one hop (RFC 6891 §6.1.1).
package forwarder
