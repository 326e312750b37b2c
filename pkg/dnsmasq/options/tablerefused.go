package options

// The parts of dnsmasq that dnscache has no counterpart for. Options are
// listed so that each is refused by its name with the reason.

// Reasons for refusing whole groups.
const (
	noDHCP        = "dnscache serves DNS only, not DHCP"
	noTFTP        = "dnscache serves DNS only, not TFTP"
	noRA          = "dnscache serves DNS only, not router advertisements"
	noAuth        = "dnscache does not serve authoritative zones"
	noDNSSEC      = "dnscache does not validate DNSSEC; it relays the DO flag and signatures"
	noIntegration = "dnscache serves DNS only; it does not change kernel settings and has no message bus"
	noScripts     = "dnscache runs no other programs"
)

// row is an option in a list of refused ones.
type row struct {
	name   string
	short  byte
	arg    Argument
	repeat Repeat
}

// refuse gives every row the same reason.
func refuse(reason string, rows ...row) []Spec {
	specs := make([]Spec, 0, len(rows))
	for _, r := range rows {
		spec := Spec{Name: r.name, Short: r.short, Arg: r.arg, Repeat: r.repeat, Help: reason}
		if r.arg != NoArgument {
			spec.Param = "..."
		}
		spec.ShortBare = r.arg == OptionalArgument && r.short != 0 && r.short != 'l'
		specs = append(specs, spec)
	}
	return specs
}

func integrationOptions() []Spec {
	specs := refuse(
		noIntegration,
		row{"enable-dbus", '1', OptionalArgument, Once},
		row{"enable-ubus", 0, OptionalArgument, Once},
		row{"conntrack", 0, NoArgument, Many},
		row{"connmark-allowlist-enable", 0, OptionalArgument, Once},
		row{"connmark-allowlist", 0, RequiredArgument, Many},
		row{"ipset", 0, RequiredArgument, Many},
		row{"nftset", 0, RequiredArgument, Many},
		row{"dumpfile", 0, RequiredArgument, Once},
		row{"dumpmask", 0, RequiredArgument, Once},
	)
	return append(specs, refuse(noScripts,
		row{"script-arp", 0, NoArgument, Many},
		row{"script-on-renewal", 0, NoArgument, Many},
	)...)
}

func dnssecOptions() []Spec {
	return refuse(
		noDNSSEC,
		row{"dnssec", 0, NoArgument, Many},
		row{"trust-anchor", 0, RequiredArgument, Many},
		row{"dnssec-debug", 0, NoArgument, Many},
		row{"dnssec-check-unsigned", 0, OptionalArgument, Many},
		row{"dnssec-no-timecheck", 0, NoArgument, Many},
		row{"dnssec-timestamp", 0, RequiredArgument, Once},
		row{"dnssec-limits", 0, RequiredArgument, Once},
	)
}

func authOptions() []Spec {
	return refuse(
		noAuth,
		row{"auth-server", 0, RequiredArgument, Once},
		row{"auth-zone", 0, RequiredArgument, Many},
		row{"auth-ttl", 0, RequiredArgument, Once},
		row{"auth-soa", 0, RequiredArgument, Once},
		row{"auth-sec-servers", 0, RequiredArgument, Many},
		row{"auth-peer", 0, RequiredArgument, Many},
	)
}

func dhcpOptions() []Spec {
	var specs []Spec
	for _, name := range []string{"no-dhcp-interface", "no-dhcpv4-interface", "no-dhcpv6-interface"} {
		spec := Spec{Name: name, Arg: RequiredArgument, Param: "name[,name...]", Status: Accepted, Help: "dnscache has no DHCP on any interface"}
		if name == "no-dhcp-interface" {
			spec.Short = '2'
		}
		specs = append(specs, spec)
	}
	for _, name := range []string{"quiet-dhcp", "quiet-dhcp6", "quiet-ra", "quiet-tftp"} {
		specs = append(specs, Spec{Name: name, Status: Accepted, Help: "dnscache has no such messages"})
	}
	specs = append(specs, refuse(noDHCP, dhcpRows()...)...)
	specs = append(specs, refuse(
		noRA,
		row{"enable-ra", 0, NoArgument, Many},
		row{"ra-param", 0, RequiredArgument, Many},
	)...)
	return append(specs, refuse(noTFTP,
		row{"enable-tftp", 0, OptionalArgument, Many},
		row{"tftp-root", 0, RequiredArgument, Many},
		row{"tftp-unique-root", 0, OptionalArgument, Many},
		row{"tftp-secure", 0, NoArgument, Many},
		row{"tftp-no-fail", 0, NoArgument, Many},
		row{"tftp-max", 0, RequiredArgument, Once},
		row{"tftp-mtu", 0, RequiredArgument, Once},
		row{"tftp-no-blocksize", 0, NoArgument, Many},
		row{"tftp-lowercase", 0, NoArgument, Many},
		row{"tftp-port-range", 0, RequiredArgument, Once},
		row{"tftp-single-port", 0, NoArgument, Many},
	)...)
}

// dhcpRows lists DHCP, PXE and BOOTP options, in the order of their names.
func dhcpRows() []row {
	return []row{
		{"bootp-dynamic", '3', OptionalArgument, Many},
		{"bridge-interface", 0, RequiredArgument, Many},
		{"dhcp-alternate-port", 0, OptionalArgument, Once},
		{"dhcp-authoritative", 'K', NoArgument, Many},
		{"dhcp-boot", 'M', RequiredArgument, Many},
		{"dhcp-broadcast", 0, OptionalArgument, Many},
		{"dhcp-circuitid", 0, RequiredArgument, Many},
		{"dhcp-client-update", 0, NoArgument, Many},
		{"dhcp-duid", 0, RequiredArgument, Once},
		{"dhcp-fqdn", 0, NoArgument, Many},
		{"dhcp-generate-names", 0, OptionalArgument, Many},
		{"dhcp-host", 'G', RequiredArgument, Many},
		{"dhcp-hostsdir", 0, RequiredArgument, Many},
		{"dhcp-hostsfile", 0, RequiredArgument, Many},
		{"dhcp-ignore", 'J', RequiredArgument, Many},
		{"dhcp-ignore-clid", 0, NoArgument, Many},
		{"dhcp-ignore-names", 0, OptionalArgument, Many},
		{"dhcp-lease-max", 'X', RequiredArgument, Once},
		{"dhcp-leasefile", 'l', OptionalArgument, Once},
		{"dhcp-luascript", 0, RequiredArgument, Once},
		{"dhcp-mac", '4', RequiredArgument, Many},
		{"dhcp-match", 0, RequiredArgument, Many},
		{"dhcp-name-match", 0, RequiredArgument, Many},
		{"dhcp-no-override", 0, NoArgument, Many},
		{"dhcp-option", 'O', RequiredArgument, Many},
		{"dhcp-option-force", 0, RequiredArgument, Many},
		{"dhcp-optsdir", 0, RequiredArgument, Many},
		{"dhcp-optsfile", 0, RequiredArgument, Many},
		{"dhcp-proxy", 0, OptionalArgument, Many},
		{"dhcp-pxe-vendor", 0, RequiredArgument, Many},
		{"dhcp-range", 'F', RequiredArgument, Many},
		{"dhcp-rapid-commit", 0, NoArgument, Many},
		{"dhcp-relay", 0, RequiredArgument, Many},
		{"dhcp-remoteid", 0, RequiredArgument, Many},
		{"dhcp-reply-delay", 0, RequiredArgument, Once},
		{"dhcp-script", '6', RequiredArgument, Once},
		{"dhcp-scriptuser", 0, RequiredArgument, Once},
		{"dhcp-sequential-ip", 0, NoArgument, Many},
		{"dhcp-split-relay", 0, RequiredArgument, Many},
		{"dhcp-subscrid", 0, RequiredArgument, Many},
		{"dhcp-ttl", 0, RequiredArgument, Once},
		{"dhcp-userclass", 'j', RequiredArgument, Many},
		{"dhcp-vendorclass", 'U', RequiredArgument, Many},
		{"leasefile-ro", '9', NoArgument, Many},
		{"leasequery", 0, OptionalArgument, Many},
		{"log-dhcp", 0, NoArgument, Many},
		{"no-ping", '5', NoArgument, Many},
		{"pxe-prompt", 0, RequiredArgument, Many},
		{"pxe-service", 0, RequiredArgument, Many},
		{"read-ethers", 'Z', NoArgument, Many},
		{"shared-network", 0, RequiredArgument, Many},
		{"tag-if", 0, RequiredArgument, Many},
	}
}
