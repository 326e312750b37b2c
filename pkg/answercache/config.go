package answercache

import (
	"cmp"
	"math"
)

// Config says which answers are stored and for how long. All times are in seconds. Options in
// parentheses are dnsmasq's.
type Config struct {
	// Entries is the largest number of answers (--cache-size, which counts records in
	// dnsmasq). With 0 or less, nothing is stored.
	Entries int
	// Bytes is the largest amount of memory, in octets, for answers and their management.
	// 0 means 1 KiB per entry, but at least 1 MiB.
	Bytes int64
	// MinTTL is the shortest lifetime of an entry (--min-cache-ttl), at most 3600. It
	// makes answers with a TTL of 0 cacheable, and negative answers without an SOA record.
	MinTTL uint32
	// MaxCacheTTL is the longest lifetime of an entry (--max-cache-ttl). With 0, answers
	// are kept for at most 7 days with their TTLs unchanged (RFC 8767 §4). Negative
	// answers are kept for at most 3 hours in any case (RFC 2308 §5).
	MaxCacheTTL uint32
	// MaxTTL is the largest TTL that clients get (--max-ttl). 0 means no limit.
	MaxTTL uint32
	// NegativeTTL is the lifetime of negative answers without an SOA record (--neg-ttl).
	// With 0 and without MinTTL they are not stored (RFC 2308 §5).
	NegativeTTL uint32
	// NoNegative turns off the storing of negative answers (--no-negcache). It overrides
	// NegativeTTL. Failures are not negative answers.
	NoNegative bool
	// NXDomainCut answers NXDOMAIN for every name below a name that does not exist (RFC 8020).
	// If a server wrongly says that a name does not exist, this hides the names below it.
	NXDomainCut bool
	// FailureTTL is how long StoreFailure first remembers a failure (RFC 9520 §3.2), from
	// 1 to 300. Larger values count as 300. With 0, failures are not remembered.
	FailureTTL uint32
	// FailureMaxTTL is the longest time for which a repeated failure is remembered, at
	// most 300. 0 means 300.
	FailureMaxTTL uint32
	// StaleFor is how long an answer is kept after it has expired (--use-stale-cache; RFC
	// 8767 §5 proposes 1 to 3 days). Forever means without limit, 0 not at all. It makes
	// answers with a TTL of 0 cacheable.
	StaleFor uint32
	// StaleTTL is the TTL of every record in an expired answer: 0 in dnsmasq, 30 in RFC
	// 8767 §4.
	StaleTTL uint32
	// StaleRecheck is how long an expired answer is given at once after a failure to
	// refresh it (failure recheck timer, RFC 8767 §5), at most 300. 0 means FailureTTL. It
	// has no effect if FailureTTL is 0.
	StaleRecheck uint32
	// RoundRobin rotates the address records of an answer at each hit, as dnsmasq does
	// without --no-round-robin.
	RoundRobin bool
	// KeepAD sets the stored AD bit in answers to clients that set AD or DO (RFC 6840
	// §5.8). Otherwise AD is never set in cached answers.
	KeepAD bool
}

// Forever is the value of Config.StaleFor that means no limit.
const Forever = math.MaxUint32

const (
	maxMinTTL     = 3600 // dnsmasq's limit for --min-cache-ttl
	maxFailureTTL = 300  // RFC 9520 §3.2
	minBytes      = 1 << 20
	bytesPerEntry = 1 << 10
)

// withDefaults returns c with defaults in place of zeros and with limits applied.
func (c Config) withDefaults() Config {
	c.Entries = max(c.Entries, 0)
	if c.Bytes <= 0 {
		c.Bytes = max(minBytes, int64(c.Entries)*bytesPerEntry)
	}
	c.MinTTL = min(c.MinTTL, maxMinTTL)
	c.FailureTTL = min(c.FailureTTL, maxFailureTTL)
	c.FailureMaxTTL = max(c.FailureTTL, min(cmp.Or(c.FailureMaxTTL, maxFailureTTL), maxFailureTTL))
	c.StaleRecheck = min(cmp.Or(c.StaleRecheck, c.FailureTTL), maxFailureTTL)
	return c
}
