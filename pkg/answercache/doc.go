// Package answercache keeps whole DNS answers for as long as they may be kept,
// and gives them out again to whoever asks the same question.
//
// An entry is one allocation: the key, the offsets of the TTLs, and the
// records as they stand in a message, compressed against the question. The
// question itself is not stored. An asker with the same name in other case has
// a question of the same length, so the stored pointers fit behind it, and a
// hit is: header, the asker's own question, the stored octets, TTLs lowered by
// the entry's age.
//
//	slab: | name, type, class, DO+CD | rcode, AD, counts, rotation | TTL offsets | records |
//	        key, compared in full      fixed part                    2 octets each
//
// Only what answers the question is stored: the chain of CNAMEs from the
// asked name, the records at its end, and for a negative answer the SOA that
// bounds its life. Whatever else an upstream adds ends with the first client,
// so one answer can never speak for another name.
//
// The store is pure: time comes in as a parameter, in nanoseconds of any clock
// that does not run backwards. A now before the time of storing counts as the
// time of storing.
//
// Eviction is SIEVE (Zhang et al., NSDI 2024): one bit per entry, set by a
// hit, and a hand that moves from old to new, clears bits and evicts the first
// entry without one. It keeps more of a skewed load than LRU does, and a hit
// moves nothing. The hand's way is bounded, so no insertion ever scans.
package answercache
