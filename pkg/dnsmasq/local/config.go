package local

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Config is the local data. Names are canonical.
type Config struct {
	// TTL is the TTL, in seconds, of local data that has none of its own, and of the addresses in
	// routes (--local-ttl).
	TTL uint32
	// Hosts are names with addresses: --host-record and names of interfaces. The
	// first host that has an address gives its reverse name.
	Hosts []HostEntry
	// Files are the hosts files. Their addresses come after those of Hosts.
	Files *hosts.Table
	// Records are records of any type, with the TTL above.
	Records []options.RecordOption
	// CNAMEs are aliases of names in Hosts or Records (--cname).
	CNAMEs []options.CNAME
	// Synth are computed names (--synth-domain).
	Synth []options.SynthDomain
	// Networks are the addresses of this host with their networks (--localise-queries). If there
	// are any, a query to one of these addresses gets only those IPv4 addresses of a name that
	// are in its network, or all if none is.
	Networks []netip.Prefix
	// SelfMX makes each of Hosts its own mail server (--selfmx). Otherwise MailTarget, if it is
	// not "", is the mail server of all of them (--localmx). MX records in Records have
	// precedence.
	SelfMX     bool
	MailTarget dnsname.Name // see SelfMX
}

// HostEntry is a --host-record, or a name of an interface. Each of the names has all of the
// addresses. The first name is the reverse name of the addresses.
type HostEntry struct {
	Names []dnsname.Name
	Addrs []netip.Addr
	// TTL is the TTL if HasTTL is set. Otherwise it is Config.TTL.
	TTL    uint32
	HasTTL bool
	// Source is the source in the query log, such as "config".
	Source string
	// Interface marks the addresses of an interface (--interface-name, --dynamic-host), which
	// must come before all others in Hosts. They replace the addresses that others give the same
	// name, even if there are none now. Their reverse names take precedence over PTR records, and
	// they have no mail server.
	Interface bool
}
