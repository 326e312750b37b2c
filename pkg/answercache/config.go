package answercache

import (
	"cmp"
	"math"
)

// Config says what is kept and for how long. All times are seconds.
type Config struct {
	// Entries is the greatest number of answers (dnsmasq's --cache-size, which
	// counts records). 0 or less keeps none.
	Entries int
	// Bytes is the greatest memory for answers and their administration. 0
	// means 1 KiB per entry, and 1 MiB at least.
	Bytes int64
	// MinTTL raises the lifetime of what is stored (--min-cache-ttl), up to
	// 3600. It makes answers of TTL 0 storable.
	MinTTL uint32
	// MaxCacheTTL lowers the lifetime of what is stored (--max-cache-ttl). 0
	// does not; then an answer is kept for 7 days at most, and its TTLs stay as
	// they are (RFC 8767 §4). Negative answers are kept for 3 hours at most in any
	// case (RFC 2308 §5).
	MaxCacheTTL uint32
	// MaxTTL caps the TTLs given to clients (--max-ttl). 0 does not.
	MaxTTL uint32
	// NegativeTTL is the lifetime of negative answers that came without an SOA
	// (--neg-ttl). 0 does not store them, RFC 2308 §5.
	NegativeTTL uint32
	// NoNegative stores no negative answers at all (--no-negcache); it wins
	// over NegativeTTL. Failures are not negative answers.
	NoNegative bool
	// NXDomainCut answers that a name does not exist when a name above it does
	// not (RFC 8020). A server that says so of names that have others below them
	// then hides those.
	NXDomainCut bool
	// FailureTTL is how long StoreFailure is remembered at first, RFC 9520 §3.2: 1
	// to 300. Greater values count as 300, 0 remembers none.
	FailureTTL uint32
	// FailureMaxTTL is the longest that a failure is remembered when attempts go
	// on failing, up to 300, which is also what 0 means.
	FailureMaxTTL uint32
	// StaleFor is how long an answer is kept after it expired, Forever without
	// end, 0 not at all (--use-stale-cache; RFC 8767 §5 proposes 1 to 3 days).
	// It makes answers of TTL 0 storable.
	StaleFor uint32
	// StaleTTL is the TTL of every record in an expired answer: 0 as dnsmasq
	// does, 30 by RFC 8767 §4.
	StaleTTL uint32
	// StaleRecheck is how long an expired answer is given out at once after a
	// failure to refresh it (RFC 8767 §5, failure recheck timer), up to 300. 0
	// means as long as FailureTTL. Without FailureTTL it is not used.
	StaleRecheck uint32
	// RoundRobin gives the address records of an answer in another order at
	// each hit (dnsmasq unless --no-round-robin).
	RoundRobin bool
	// KeepAD gives out the AD bit that was stored, to askers that set AD or DO
	// (RFC 6840 §5.8). Otherwise AD is never set in cached answers.
	KeepAD bool
}

// Forever is a StaleFor without end.
const Forever = math.MaxUint32

const (
	maxMinTTL     = 3600 // dnsmasq's limit for --min-cache-ttl
	maxFailureTTL = 300  // RFC 9520 §3.2
	minBytes      = 1 << 20
	bytesPerEntry = 1 << 10
)

// withDefaults returns c with its limits applied.
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
