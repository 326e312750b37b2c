// Package answercache keeps whole DNS answers for as long as they may be kept,
// and gives them out again to whoever asks the same question.
//
// An entry is the key, the offsets of the TTLs, and the records as they stand in
// a message, compressed against the question. The question itself is not
// stored. An asker with the same name in other case has a question of the same
// length, so the stored pointers fit behind it, and a hit is: header, the
// asker's own question, the stored octets, TTLs lowered by the entry's age.
//
//	fixed part: expiry, rcode, AD, counts, rotation                      64 octets
//	octets:     | name, DO+CD, class, type | TTL offsets | records |     64 octets, else apart
//	              key, compared in full      2 octets each
//
// Both parts lie together in two cache lines, so a hit waits for memory twice:
// for the slot of the table, which holds a hash too, and for the entry. Hits
// take no lock and change no memory, but for the mark of a first one and the
// order of several addresses. Entries do not change, and what is read of one
// that was just removed is as good as it was before.
//
// Only what answers the question is stored: the chain of CNAMEs from the
// asked name, the records at its end, and for a negative answer the SOA that
// bounds its life. Whatever else an upstream adds ends with the first client,
// so one answer can never speak for another name. That a name does not exist
// is said of all its types, RFC 2308 §5, until something else is said of it.
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
