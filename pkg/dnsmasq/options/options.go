// Package options parses dnsmasq's command line and configuration files into typed
// values.
//
// Use [Parse] to get [Options], and [Report] to get the message and the exit code for an
// error of Parse. [SplitNanny] and [ParseNanny] handle the command line of dnsmasq-nanny.
//
// One table (see [Table]) has every option that dnsmasq 2.90 to 2.92 knows. It says of each
// option whether dnscache implements it, accepts it without an effect, or refuses it, and
// why. The parser, the help text and docs/dnscache-options.md are based on that table, so no
// option is silently ignored. The package reads files only through [Files] and does not read
// the clock.
package options

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Options is a whole configuration. [Defaults] returns the values of options that are not
// given. Slices are in the order of the arguments.
type Options struct {
	// Help, Version and Test are the options that end the program: --help and --version
	// at once, --test after everything has been read.
	Help, Version, Test bool

	Process  Process  // how the program runs and what it logs
	Listen   Listen   // where it listens
	Upstream Upstream // upstream servers and how they are asked
	Cache    Cache    // which answers are cached, and for how long
	Filter   Filter   // what is refused, removed or rewritten
	Local    Local    // data that is answered without asking
	Own      Own      // the options that dnsmasq does not have
}

// Process says how the program runs and what it logs.
type Process struct {
	// NoDaemon is --no-daemon: do not change the user, and write no pid file.
	NoDaemon bool
	// LogFacility is --log-facility.
	LogFacility LogTarget
	// LogQueries is --log-queries.
	LogQueries QueryLog
	// LogDebug is --log-debug.
	LogDebug bool
	// PidFile is --pid-file; "" means none.
	PidFile string
	// User and Group are --user and --group: a name or a number; "" means not given.
	User, Group string
	// ServersFile is --servers-file; "" means none. It is not read by Parse because it is
	// read again at SIGHUP: see [ParseServersFile].
	ServersFile string
}

// LogTarget says where log lines go. The zero value means standard error.
type LogTarget struct {
	// File is the path of a file to append to; "" means none.
	File string
	// Facility is the name of a syslog facility such as "daemon"; "" means none.
	Facility string
}

// QueryLog says how much is logged about every query.
type QueryLog uint8

// The levels of --log-queries.
const (
	QueryLogOff QueryLog = iota
	QueryLogPlain
	QueryLogExtra
)

// Listen says where to listen and which clients to answer.
type Listen struct {
	// Port is --port; 0 turns DNS off.
	Port uint16
	// Addresses is --listen-address.
	Addresses []netip.Addr
	// Interfaces and ExceptInterfaces are --interface and --except-interface:
	// names, or prefixes that end with "*".
	Interfaces, ExceptInterfaces []string
	// BindInterfaces is --bind-interfaces.
	BindInterfaces bool
	// BindDynamic is --bind-dynamic: each address is bound separately, including those
	// that appear later.
	BindDynamic bool
	// LocaliseQueries is --localise-queries.
	LocaliseQueries bool
	// LocalService is --local-service: only clients on networks of this host are answered;
	// LocalHostOnly is its value "host". With lists of addresses or interfaces, both are
	// false.
	LocalService, LocalHostOnly bool
	// MaxTCPConnections is --max-tcp-connections; 0 means not given.
	MaxTCPConnections int
}

// TCPConnections returns how many TCP connections may be open at once. Without the option it
// is what its documentation says.
func (l *Listen) TCPConnections() int { return cmp.Or(l.MaxTCPConnections, 1024) }

// Upstream says which upstream servers to ask, and how.
type Upstream struct {
	// Servers is --server, --local and --rev-server, in order.
	Servers []Server
	// ResolvFiles is --resolv-file; it is not empty unless NoResolv is true.
	ResolvFiles []string
	// NoResolv, NoPoll, ClearOnReload, StrictOrder, AllServers and LoopDetect
	// are the options of the same name.
	NoResolv, NoPoll, ClearOnReload, StrictOrder, AllServers, LoopDetect bool
	// ForwardMax is --dns-forward-max.
	ForwardMax int
	// FastRetry is --fast-dns-retry: the time until a question is repeated; 0 means off.
	FastRetry time.Duration
	// FastRetryTotal is the time after which FastRetry gives up.
	FastRetryTotal time.Duration
	// QueryPort is --query-port, the only source port; MinPort and MaxPort are the smallest
	// and largest random source ports. 0 leaves the choice to the kernel.
	QueryPort, MinPort, MaxPort uint16
	// EDNSPacketMax is --edns-packet-max, in octets.
	EDNSPacketMax uint16
	// ProxyDNSSEC is --proxy-dnssec.
	ProxyDNSSEC bool
	// MixCase is --do-0x20-encode, undone by a later --no-0x20-encode.
	MixCase bool
	// Client says which information about the client is sent to upstream servers.
	Client ClientInfo
}

// Cache says which answers are cached, and for how long.
type Cache struct {
	// Size is --cache-size, in entries; 0 means off.
	Size int
	// NoNegative is --no-negcache.
	NoNegative bool
	// NegTTL is --neg-ttl: the lifetime of negative answers without an SOA record.
	NegTTL time.Duration
	// MaxTTL, MaxCacheTTL and MinCacheTTL are the options of the same name; 0 means off.
	MaxTTL, MaxCacheTTL, MinCacheTTL time.Duration
	// UseStale says whether --use-stale-cache was given.
	UseStale bool
	// UseStaleMax is its value: the largest age after expiry; 0 means no limit.
	UseStaleMax time.Duration
	// NoRoundRobin and NoIdent are the options of the same name.
	NoRoundRobin, NoIdent bool
}

// Filter says what is refused, removed or rewritten.
type Filter struct {
	// DomainNeeded is --domain-needed: A, AAAA and ANY questions about names of one label get
	// NXDOMAIN.
	DomainNeeded bool
	// BogusPriv is --bogus-priv: PTR questions about private addresses get NXDOMAIN.
	BogusPriv bool
	// FilterWin2k is --filterwin2k: SOA and SRV questions, and ANY questions about names with
	// an underscore, get no data.
	FilterWin2k bool
	// FilterA, FilterAAAA and FilterRR are --filter-A, --filter-AAAA and --filter-rr: the
	// record types to remove from answers. If ANY is one of them, answers to ANY questions
	// contain only A, AAAA, MX and CNAME.
	FilterA, FilterAAAA bool
	FilterRR            []uint16 // see FilterA
	// StopRebind is --stop-dns-rebind: all records of answers with private addresses are
	// removed, except loopback addresses with RebindLocalhostOK (--rebind-localhost-ok), and
	// names in RebindDomainOK (--rebind-domain-ok).
	StopRebind, RebindLocalhostOK bool
	RebindDomainOK                []dnsname.Domain // see StopRebind
	// BogusNXDomain is --bogus-nxdomain: answers with such an address become NXDOMAIN.
	// IgnoreAddress is --ignore-address: replies with such an address are ignored.
	BogusNXDomain, IgnoreAddress []netip.Prefix
	// Aliases is --alias.
	Aliases []Alias
}

// Alias is one --alias: addresses from First to Last are moved to the network To. The bits
// outside Mask are kept. If several ranges contain an address, the last one counts.
type Alias struct {
	First, Last, To, Mask netip.Addr
	// Masked says that a single old address was given: First and Last are then the first and
	// last address that are equal to it in the bits of Mask.
	Masked bool
}

// Local is data that is answered without asking upstream servers.
type Local struct {
	// TTL is --local-ttl.
	TTL time.Duration
	// NoHosts is --no-hosts.
	NoHosts bool
	// AddnHosts is --addn-hosts: paths of files or directories.
	AddnHosts []string
	// HostsDirs is --hostsdir: paths of directories.
	HostsDirs []string
	// ExpandHosts is --expand-hosts.
	ExpandHosts bool
	// Domain is --domain without a range; "" means not given.
	Domain dnsname.Name
	// DomainFromResolv is --domain=#; Parse then sets Domain.
	DomainFromResolv bool
	// DomainRanges are the --domain for some addresses; see [Local.DomainOf].
	DomainRanges []DomainRange

	// Addresses is --address.
	Addresses []Address

	// HostRecords is --host-record.
	HostRecords []HostRecord
	// CNAMEs is --cname.
	CNAMEs []CNAME
	// Records holds --txt-record, --srv-host, --ptr-record, --mx-host,
	// --naptr-record, --caa-record and --dns-rr.
	Records []RecordOption
	// SynthDomains is --synth-domain.
	SynthDomains []SynthDomain
	// InterfaceNames is --interface-name and --dynamic-host.
	InterfaceNames []InterfaceName
	// SelfMX and LocalMX are --selfmx and --localmx.
	SelfMX, LocalMX bool
	// MXTarget is --mx-target; "" means not given.
	MXTarget dnsname.Name
	// MailHosts are the --mx-host without the name of a mail server.
	MailHosts []MailHost
}

// Own holds the options that dnsmasq does not have.
type Own struct {
	// ServeStale is --serve-stale: how long after it has expired an answer may be used if
	// upstream servers fail (RFC 8767); 0 means off.
	ServeStale time.Duration
	// NXDomainCut is --nxdomain-cut: names below a name that does not exist do not exist
	// (RFC 8020).
	NXDomainCut bool
	// RateLimit is --rate-limit: the largest number of queries per second from each client;
	// 0 means no limit. RateBurst is the size of a burst, in queries.
	RateLimit, RateBurst int
	// MetricsAddress is --metrics-address, host:port; "" means off.
	MetricsAddress string
	// MetricsSet is --metrics-set, "all" or "essential"; "" means the one that suits the mode.
	MetricsSet string
	// TLSCA is --tls-ca-file: paths of PEM files for servers that are asked over TLS.
	TLSCA []string
	// TLSCert and TLSKey are --tls-cert-file and --tls-key-file; "" means not given.
	TLSCert, TLSKey string
	// LogFormat is --log-format, "text" or "json".
	LogFormat string
	// SharePort is --share-port: another process may listen on the same addresses, as
	// in the overlap of two instances of a node's cache.
	SharePort bool
	// Replicas is --server-replicas.
	Replicas Replicas
	// Lameduck is --lameduck: how long the program continues to answer after SIGTERM.
	Lameduck time.Duration
}

// dnsmasq's defaults and limits. If dnsmasq's depend on how it was built, they are ours.
const (
	DefaultPort          = 53
	DefaultCacheSize     = 150
	DefaultForwardMax    = 150
	DefaultEDNSPacketMax = 1232
	DefaultConfFile      = "/etc/dnsmasq.conf"
	DefaultResolvFile    = "/etc/resolv.conf"
	// MaxCacheSize is the limit that dnsmasq 2.90 silently applies.
	MaxCacheSize = 5_000_000
	// MinCacheTTLLimit is the largest value of --min-cache-ttl.
	MinCacheTTLLimit = time.Hour
	// DefaultUseStaleMax is the value of --use-stale-cache if none is given.
	DefaultUseStaleMax = 24 * time.Hour
)

// Defaults returns the options for a command line without arguments.
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
