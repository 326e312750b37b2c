// Package forwarder answers DNS queries: from local data, from a cache of
// answers, or by asking other servers.
//
//	Handle ─ verdict ─ class CH ─ local data ─ cache ──────────────► reply at once
//	                                             │ miss
//	                             identical query in flight? ── join it
//	                                             │ no
//	                             route ── upstream.Set ── Done ── store once,
//	                                                              answer each asker
//
// A [Forwarder] implements listener.Handler and never leaves a question that it
// accepted without an answer: where upstream fails or is silent, the answer is
// an expired one (if stale answers are on) or SERVFAIL with the reason as an
// extended error, before the asker gives up.
//
// Identical questions are asked once. Two are identical when what leaves this
// program would be: name without case, type, class, RD, AD, CD and DO.
// Each asker gets its own id, spelling, size and OPT record. Options in the
// asker's OPT record end here: EDNS is per hop (RFC 6891 §6.1.1).
package forwarder
