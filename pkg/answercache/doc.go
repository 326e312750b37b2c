// Package answercache is a bounded cache of complete DNS answers.
//
// Use [New] to make a [Cache], [Cache.Lookup] to answer a query from it, and
// [Cache.Epoch] followed by [Cache.Store] or [Cache.StoreFailure] to add the outcome
// of a question to it. [Cache.Purge] removes the entries of names whose servers have
// changed.
//
// An entry holds its key, the offsets of the TTLs, and the records as they stand in a
// message, compressed against the question. The question itself is not stored. A
// client that spells the same name in another case sends a question of the same
// length, so the stored compression pointers remain valid after it. A hit consists of
// the header, the client's own question, and the stored octets with TTLs reduced by
// the entry's age.
//
//	fixed part: expiry, rcode, AD, counts, rotation                      64 octets
//	octets:     | name, DO+CD, class, type | TTL offsets | records |     64 octets, or elsewhere
//	              key, compared in full      2 octets each
//
// Both parts are adjacent, in two cache lines. A hit therefore waits for memory twice:
// for the slot of the table, which holds a hash too, and for the entry. A hit takes no
// lock and writes no memory, except for the mark of the first hit and the rotation of
// several addresses. Entries do not change, so an entry that has just been removed can
// still be read.
//
// Only records that answer the question are stored: the chain of CNAMEs from the
// question's name, the records at its end, and the SOA record of a negative answer,
// which limits its lifetime. Other records that an upstream server adds reach only the
// first client, so the answer to one question never becomes an answer about another
// name. An answer that a name does not exist is stored for all types of the name (RFC
// 2308 §5), until another answer about the name is stored.
//
// The package does not read the clock: time is a parameter, in nanoseconds of any clock
// that never runs backwards. If the time of a lookup is before that of storing, it counts
// as the time of storing.
//
// Eviction uses SIEVE (Zhang et al., NSDI 2024): each entry has one bit, which a hit
// sets, and a hand moves from old entries to new ones, clears bits, and evicts the first
// entry without a set bit. For skewed loads its hit rate is better than that of LRU, and
// a hit does not move anything. The number of steps of the hand is limited, so no
// insertion scans the cache.
package answercache
