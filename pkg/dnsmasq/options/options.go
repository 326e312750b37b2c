// Package options reads dnsmasq's command line and configuration files
// into typed values.
//
// One table (see [Table]) holds every option that dnsmasq 2.90 to 2.92 knows
// and says of each whether dnscache implements it, accepts it because it has
// nothing to change here, or refuses it and why. The parser, the help text and
// docs/dnscache-options.md come from that table, so that no option is silently
// ignored. The package reads files only through [Files] and has no clock.
package options

import (
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Options is a whole configuration. [Defaults] gives the values that hold
// when an option is not given. Slices keep the order of the arguments.
type Options struct {
	// Help, Version and Test are the options that end the program: --help and
	// --version as soon as they are met, --test once everything was read.
	Help, Version, Test bool

	Process  Process
	Listen   Listen
	Upstream Upstream
	Cache    Cache
	Filter   Filter
	Local    Local
	Own      Own
}

// Process is how the program runs and what it logs.
type Process struct {
	// NoDaemon is --no-daemon: no user change and no pid file.
	NoDaemon bool
	// LogFacility is --log-facility.
	LogFacility LogTarget
	// LogQueries is --log-queries.
	LogQueries QueryLog
	// LogDebug is --log-debug.
	LogDebug bool
	// PidFile is --pid-file; "" writes none.
	PidFile string
	// User and Group are a name or a number; "" means not given.
	User, Group string
	// ServersFile is --servers-file; "" means none. It is read apart from the
	// rest because SIGHUP reads it again: see [ParseServersFile].
	ServersFile string
}

// LogTarget is where log lines go. The zero value is standard error.
type LogTarget struct {
	// File is a path that is appended to, "" for none.
	File string
	// Facility is a syslog facility name such as "daemon", "" for none.
	Facility string
}

// QueryLog is how much is logged of every query.
type QueryLog uint8

// The levels of --log-queries.
const (
	QueryLogOff QueryLog = iota
	QueryLogPlain
	QueryLogExtra
)

// Listen says where queries are taken.
type Listen struct {
	// Port is --port; 0 switches DNS off.
	Port uint16
	// Addresses is --listen-address.
	Addresses []netip.Addr
	// Interfaces and ExceptInterfaces are --interface and --except-interface:
	// names, or prefixes that end with "*".
	Interfaces, ExceptInterfaces []string
	// BindInterfaces is --bind-interfaces.
	BindInterfaces bool
	// BindDynamic is --bind-dynamic: each address is bound by itself, also those
	// that appear later.
	BindDynamic bool
	// LocaliseQueries is --localise-queries.
	LocaliseQueries bool
	// LocalService is --local-service: only clients on networks of this host
	// are answered; LocalHostOnly is its value "host". Lists of addresses or
	// interfaces switch both off.
	LocalService, LocalHostOnly bool
	// MaxTCPConnections is --max-tcp-connections, 0 when not given.
	MaxTCPConnections int
}

// Upstream says who is asked and how.
type Upstream struct {
	// Servers is --server, --local and --rev-server, in order.
	Servers []Server
	// ResolvFiles is --resolv-file; it is never empty unless NoResolv.
	ResolvFiles []string
	// NoResolv, NoPoll, ClearOnReload, StrictOrder, AllServers and LoopDetect
	// are the options of the same name.
	NoResolv, NoPoll, ClearOnReload, StrictOrder, AllServers, LoopDetect bool
	// ForwardMax is --dns-forward-max.
	ForwardMax int
	// FastRetry is --fast-dns-retry: time to the first repeat, 0 when off.
	FastRetry time.Duration
	// FastRetryTotal is the time after which FastRetry gives up.
	FastRetryTotal time.Duration
	// QueryPort is --query-port, the one source port; MinPort and MaxPort bound
	// random ones. 0 leaves the choice to the kernel.
	QueryPort, MinPort, MaxPort uint16
	// EDNSPacketMax is --edns-packet-max in bytes.
	EDNSPacketMax uint16
	// ProxyDNSSEC is --proxy-dnssec.
	ProxyDNSSEC bool
	// MixCase is --do-0x20-encode, undone by a later --no-0x20-encode.
	MixCase bool
	// Client is what is told about the client that asks.
	Client ClientInfo
}

// Cache is what is kept of upstream's answers and for how long.
type Cache struct {
	// Size is --cache-size in entries; 0 is off.
	Size int
	// NoNegative is --no-negcache.
	NoNegative bool
	// NegTTL is --neg-ttl: the life of negative answers without SOA.
	NegTTL time.Duration
	// MaxTTL, MaxCacheTTL and MinCacheTTL are the options of the same name, 0
	// when off.
	MaxTTL, MaxCacheTTL, MinCacheTTL time.Duration
	// UseStale is whether --use-stale-cache was given; UseStaleMax is how old
	// an expired answer may be, 0 for any age.
	UseStale    bool
	UseStaleMax time.Duration
	// CacheRR is --cache-rr. The cache keeps every type anyway.
	CacheRR []uint16
	// NoRoundRobin and NoIdent are the options of the same name.
	NoRoundRobin, NoIdent bool
}

// Filter is what is refused, removed or rewritten.
type Filter struct {
	DomainNeeded, BogusPriv, FilterWin2k bool
	FilterA, FilterAAAA                  bool
	// FilterRR is --filter-rr: record types.
	FilterRR []uint16
	// StopRebind, RebindLocalhostOK and RebindDomainOK are --stop-dns-rebind
	// and its exceptions.
	StopRebind, RebindLocalhostOK bool
	RebindDomainOK                []dnsname.Domain
	// BogusNXDomain and IgnoreAddress are the options of the same name.
	BogusNXDomain, IgnoreAddress []netip.Prefix
	// Aliases is --alias.
	Aliases []Alias
}

// Alias is one --alias: A records from First to Last are moved to To, keeping
// the bits outside Mask. Of those that hold an address the last one counts.
type Alias struct {
	First, Last, To, Mask netip.Addr
	// Masked is whether no range was written: First and Last are then those of
	// the addresses that agree with the old address in the bits of Mask.
	Masked bool
}

// Local is data that is answered without asking anybody.
type Local struct {
	// TTL is --local-ttl.
	TTL time.Duration
	// NoHosts is --no-hosts; AddnHosts is --addn-hosts and --hostsdir.
	NoHosts   bool
	AddnHosts []string
	HostsDirs []string
	// ExpandHosts is --expand-hosts, Domain is --domain, "" when not given.
	ExpandHosts bool
	Domain      dnsname.Name
	// DomainFromResolv is --domain=#; Parse then sets Domain. DomainRanges are
	// the --domain for some addresses, see [Local.DomainOf].
	DomainFromResolv bool
	DomainRanges     []DomainRange

	// Addresses is --address.
	Addresses []Address

	HostRecords []HostRecord
	CNAMEs      []CNAME
	// Records holds --txt-record, --srv-host, --ptr-record, --mx-host,
	// --naptr-record, --caa-record and --dns-rr.
	Records []Record
	// SynthDomains is --synth-domain.
	SynthDomains []SynthDomain
	// InterfaceNames is --interface-name and --dynamic-host.
	InterfaceNames []InterfaceName
	// SelfMX and LocalMX are --selfmx and --localmx; MXTarget is --mx-target, ""
	// when not given. MailHosts are those --mx-host that name no mail server.
	SelfMX, LocalMX bool
	MXTarget        dnsname.Name
	MailHosts       []MailHost
}

// Own holds the options that dnsmasq does not have.
type Own struct {
	// ServeStale is --serve-stale: how long after its end an answer may still
	// be given when upstream fails (RFC 8767); 0 is off.
	ServeStale time.Duration
	// NXDomainCut is --nxdomain-cut: a name that does not exist has none below
	// it (RFC 8020).
	NXDomainCut bool
	// RateLimit is --rate-limit: how many queries a second of each client are
	// answered, 0 without a limit; RateBurst is how many at once.
	RateLimit, RateBurst int
	// MetricsAddress is --metrics-address, host:port; "" is off.
	MetricsAddress string
	// TLSCA, TLSCert and TLSKey are --tls-ca-file, --tls-cert-file and
	// --tls-key-file, for servers that are asked over TLS.
	TLSCA           []string
	TLSCert, TLSKey string
	// LogFormat is --log-format, "text" or "json".
	LogFormat string
	// Lameduck is --lameduck: how long SIGTERM keeps answering.
	Lameduck time.Duration
}

// dnsmasq's defaults, and ours where dnsmasq's depend on its build.
const (
	DefaultPort          = 53
	DefaultCacheSize     = 150
	DefaultForwardMax    = 150
	DefaultEDNSPacketMax = 1232
	DefaultConfFile      = "/etc/dnsmasq.conf"
	DefaultResolvFile    = "/etc/resolv.conf"
	// MaxCacheSize is the limit that dnsmasq 2.90 silently applies.
	MaxCacheSize = 5_000_000
	// MinCacheTTLLimit is the largest floor that --min-cache-ttl can set.
	MinCacheTTLLimit = time.Hour
	// DefaultUseStaleMax is what --use-stale-cache means without a value.
	DefaultUseStaleMax = 24 * time.Hour
)

// Defaults returns the options of a command line without arguments.
func Defaults() *Options {
	return &Options{
		Listen: Listen{Port: DefaultPort},
		Upstream: Upstream{
			ResolvFiles:   []string{DefaultResolvFile},
			ForwardMax:    DefaultForwardMax,
			EDNSPacketMax: DefaultEDNSPacketMax,
		},
		Cache: Cache{Size: DefaultCacheSize},
	}
}
