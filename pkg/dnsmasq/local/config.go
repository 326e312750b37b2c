package local

import (
	"fmt"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Config is the local data. Names are canonical.
type Config struct {
	// TTL is that of local data without one of its own, and of the address
	// literals of routes (--local-ttl), in seconds.
	TTL uint32
	// Hosts are names with addresses: --host-record and names of interfaces. The
	// first host that has an address gives its reverse name.
	Hosts []HostEntry
	// Files are the hosts files; they come after Hosts.
	Files *hosts.Table
	// Records are of any type; their TTL is TTL.
	Records []options.RecordOption
	// CNAMEs are aliases of names in Hosts or Records (--cname).
	CNAMEs []CNAME
	// Synth are computed names (--synth-domain).
	Synth []options.SynthDomain
	// Networks are the addresses of this host with the bits of their networks.
	// When there are any, of the IPv4 addresses of a name only those on the
	// network of the address that was asked are given, unless there are none
	// (--localise-queries).
	Networks []netip.Prefix
	// SelfMX makes every one of Hosts its own mail server (--selfmx); else
	// MailTarget, if not "", is that (--localmx). MX records among Records go
	// first.
	SelfMX     bool
	MailTarget dnsname.Name // see SelfMX
}

// HostEntry is a --host-record, or a name of an interface: every name has every
// address; the first name is that of the addresses.
type HostEntry struct {
	Names []dnsname.Name
	Addrs []netip.Addr
	// TTL holds if HasTTL is set, else Config.TTL does.
	TTL    uint32
	HasTTL bool
	// Source is named in the query log: "config".
	Source string
	// Interface marks the addresses of an interface (--interface-name,
	// --dynamic-host), which must stand before all others in Hosts. They replace
	// the addresses that others give the same name, even if there are none now,
	// their reverse names go before PTR records, and they have no mail server.
	Interface bool
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

// checkRecord returns an error if a record is invalid.
func checkRecord(r *options.RecordOption) error {
	if len(r.Data) > 65535 || !dnsname.Valid([]byte(r.Name)) {
		return fmt.Errorf("local record of %q cannot be sent", r.Name)
	}
	return nil
}
