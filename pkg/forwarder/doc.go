// Package forwarder resolves: it answers DNS queries from a cache of answers or
// by asking other servers, with policies of its caller around both.
//
// Use [New] with a [Config], run [Forwarder.Run], and give [Forwarder.Batched] to
// a listener, or ask [Forwarder.Resolve].
//
//	Part.Handle ─ Query ─ stages ─ cache ─────────────────────► answer at once
//	                                 │ miss
//	                     equal question in flight? ── join it
//	                                 │ no
//	                     route ── upstream.Set ── flight.Done ── stages,
//	                                              store once, answer all who wait
//
// A [Query] is one query in progress, a flight one question on its way to
// servers, with all who wait for it. A [Stage] is a policy of the caller: data
// of its own, filters, and the like; the forwarder has none itself.
//
// A question that was accepted is never left without an answer: where servers
// fail or are silent, the answer is an expired one (if stale answers are on) or
// SERVFAIL with the reason as an extended error, before the client gives up.
//
// Equal questions are asked once. Two are equal when what leaves this program
// would be: name without case, type, class, RD, AD, CD and DO. Each client gets
// its own id, spelling, size and OPT record. Options in the client's OPT record
// end here: EDNS is per hop (RFC 6891 §6.1.1).
package forwarder
