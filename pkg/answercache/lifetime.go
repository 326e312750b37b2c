package answercache

// The rules for the lifetimes of answers. Times are in seconds.

const (
	maxNegativeTTL = 3 * 3600      // RFC 2308 §5: 1 to 3 hours
	maxLife        = 7 * 24 * 3600 // RFC 8767 §4
)

// storedTTL returns a record's TTL after --max-cache-ttl and --min-cache-ttl are applied. As in
// dnsmasq, the minimum takes precedence.
func storedTTL(ttl uint32, cfg *Config) uint32 {
	if cfg.MaxCacheTTL > 0 {
		ttl = min(ttl, cfg.MaxCacheTTL)
	}
	return max(ttl, cfg.MinTTL)
}

// servedTTL returns the TTL that a client gets age seconds after a record with the TTL stored
// was stored. It does not increase with age, except when a stale answer gets its fixed TTL.
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
