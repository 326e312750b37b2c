package answercache

// The rules for how long an answer lives. Times are seconds.

const (
	maxNegativeTTL = 3 * 3600      // RFC 2308 §5: 1 to 3 hours
	maxLife        = 7 * 24 * 3600 // RFC 8767 §4
)

// negativeTTL is the life of a negative answer: the smaller of the SOA's TTL
// and its MINIMUM field, up to maxNegativeTTL, RFC 2308 §5. The SOA is stored with it as its TTL, so
// that a cache behind this one cannot begin MINIMUM anew.
func negativeTTL(soaTTL, minimum uint32) uint32 {
	if minimum >= 1<<31 { // RFC 2181 §8
		minimum = 0
	}
	return min(soaTTL, minimum, maxNegativeTTL)
}

// storedTTL is a record's TTL after --max-cache-ttl and --min-cache-ttl, in
// dnsmasq's order: the floor wins.
func storedTTL(ttl uint32, cfg *Config) uint32 {
	if cfg.MaxCacheTTL > 0 {
		ttl = min(ttl, cfg.MaxCacheTTL)
	}
	return max(ttl, cfg.MinTTL)
}

// servedTTL is the TTL that a client gets age seconds after storing. It never
// rises with age, but for the change to the fixed TTL of stale answers.
func servedTTL(stored, age uint32, stale bool, cfg *Config) uint32 {
	ttl := stored - min(stored, age)
	if stale {
		ttl = cfg.StaleTTL
	}
	if cfg.MaxTTL > 0 {
		ttl = min(ttl, cfg.MaxTTL)
	}
	return ttl
}
