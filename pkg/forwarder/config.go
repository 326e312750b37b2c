package forwarder

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Config is what a [Forwarder] is made of. The zero value of a field means
// off, or the default that is named.
type Config struct {
	// Upstream says whom to ask and how, its Routes also what is answered from
	// address literals or not asked at all. NewSink and Logger are set by New.
	Upstream upstream.Config
	// Cache says what is kept. Entries 0 keeps nothing (--cache-size=0). A
	// Reload that changes it begins with an empty cache. With RFC 8767 (see
	// ServeStale), StaleFor and StaleTTL are the caller's to set too.
	Cache answercache.Config
	// InFlight bounds the questions that wait for upstream (--dns-forward-max).
	// At the bound a question is REFUSED, except that a client with less than
	// its share is served from a reserve of a quarter. Default: 150.
	InFlight int
	// Payload is the largest UDP answer, whatever the asker takes. Default: 1232.
	Payload uint16
	// MaxTTL caps TTLs given to clients (--max-ttl), in seconds. Set it in Cache
	// too.
	MaxTTL uint32
	// KeepAD passes upstream's AD bit on (--proxy-dnssec).
	KeepAD bool
	// ServeStale gives expired answers, within Cache.StaleFor, when upstream
	// fails or takes longer than StaleAfter (RFC 8767).
	ServeStale bool
	// StaleAfter is that time. Default: 1.8 s, RFC 8767 §5.
	StaleAfter time.Duration
	// StaleAtOnce gives expired answers at once and refreshes them afterwards
	// (--use-stale-cache).
	StaleAtOnce bool
	// Version answers version.bind in class CH (as "dnscache-<version>"); NoIdent
	// answers no statistics in class CH (--no-ident).
	Version string
	NoIdent bool
	// Local is answered without asking anybody.
	Local Local
	// Filter refuses, removes and rewrites.
	Filter Filter
	// Client says what other servers are told about who asks.
	Client Client
	// Log gets the story of every query (--log-queries). Nil: none.
	Log QueryLog
	// Answered is told of each answer that leaves later than Handle returned,
	// and how long its asker waited. It is called on the packet path. Nil: nobody
	// is told. A Reload does not change it.
	Answered func(took time.Duration, reply []byte)
	// Logger gets what operators should know. Nil discards it.
	Logger *slog.Logger
}

// Local is data of one's own. Names are canonical.
type Local struct {
	// TTL is that of local data without one of its own, and of the address
	// literals of routes (--local-ttl), in seconds.
	TTL uint32
	// Hosts are names with addresses: hosts files and --host-record. The first
	// host that has an address gives its reverse name.
	Hosts []Host
	// Records are of any type.
	Records []Record
	// CNAMEs are aliases of names in Hosts or Records (--cname).
	CNAMEs []CNAME
	// Synth are computed names (--synth-domain).
	Synth []Synth
	// Networks are the addresses of this host with the bits of their networks.
	// When there are any, of the IPv4 addresses of a name only those on the
	// network of the address that was asked are given, unless there are none
	// (--localise-queries).
	Networks []netip.Prefix
	// SelfMX makes every one of Hosts its own mail server (--selfmx); else
	// MailTarget, if not "", is that (--localmx). MX records among Records go
	// first.
	SelfMX     bool
	MailTarget dnsname.Name
}

// Host is a line of a hosts file or a --host-record: every name has every
// address; the first name is that of the addresses.
type Host struct {
	Names []dnsname.Name
	Addrs []netip.Addr
	// TTL holds if HasTTL is set, else Local.TTL does.
	TTL    uint32
	HasTTL bool
	// Source is named in the query log: the file, or "config".
	Source string
	// Interface marks the addresses of an interface (--interface-name,
	// --dynamic-host), which must stand before all others in Hosts. They replace
	// the addresses that others give the same name, even if there are none now,
	// their reverse names go before PTR records, and they have no mail server.
	Interface bool
}

// Record is a local record with TTL Local.TTL. Data is in uncompressed wire
// form.
type Record struct {
	Name dnsname.Name
	Type uint16
	Data []byte
}

// CNAME is an alias. Below means that every name below Alias is one, but not
// Alias itself ("*.alias").
type CNAME struct {
	Alias  dnsname.Name
	Below  bool
	Target dnsname.Name
	TTL    uint32 // holds if HasTTL is set
	HasTTL bool
}

// Synth gives each address of a range a name: Prefix, the address with dashes
// (or with Indexed its place in the range), Domain.
type Synth struct {
	Domain      dnsname.Name
	First, Last netip.Addr
	Prefix      string
	Indexed     bool
}

// Filter says what is refused, removed or rewritten.
type Filter struct {
	// DomainNeeded: A, AAAA and ANY of names of one label do not exist
	// (--domain-needed).
	DomainNeeded bool
	// BogusPriv: PTR of private addresses do not exist (--bogus-priv).
	BogusPriv bool
	// Win2k: SOA, SRV, and ANY of names with an underscore have no data
	// (--filterwin2k).
	Win2k bool
	// Types are removed from answers (--filter-A, --filter-AAAA, --filter-rr).
	// ANY among them leaves of answers to ANY only A, AAAA, MX and CNAME.
	Types []uint16
	// StopRebind empties answers with private addresses (--stop-dns-rebind),
	// RebindLocalhost lets loopback ones through, RebindDomains names.
	StopRebind      bool
	RebindLocalhost bool
	RebindDomains   []dnsname.Domain
	// BogusNX makes answers with such an address NXDOMAIN (--bogus-nxdomain);
	// Ignore drops them, as if upstream had failed (--ignore-address).
	BogusNX, Ignore []netip.Prefix
	// Aliases rewrite A records (--alias).
	Aliases []Alias
}

// Alias moves IPv4 addresses from First to Last to To, keeping the bits
// outside Mask.
type Alias struct {
	First, Last, To, Mask netip.Addr
}

const (
	defaultInFlight   = 150
	defaultPayload    = 1232
	defaultStaleAfter = 1800 * time.Millisecond // RFC 8767 §5: client response timer
)

// withDefaults returns c with zero fields filled in, or all that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.InFlight <= 0 {
		c.InFlight = defaultInFlight
	}
	if c.Payload == 0 {
		c.Payload = defaultPayload
	}
	if c.StaleAfter <= 0 {
		c.StaleAfter = defaultStaleAfter
	}
	for _, r := range c.Local.Records {
		if len(r.Data) > 65535 || !dnsname.Valid([]byte(r.Name)) {
			errs = append(errs, fmt.Errorf("local record of %q cannot be sent", r.Name))
		}
	}
	if c.ServeStale && c.StaleAtOnce {
		errs = append(errs, errors.New("stale answers are given at once or on failure, not both"))
	}
	return c, errors.Join(errs...)
}
