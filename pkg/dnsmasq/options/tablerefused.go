package options

import (
	"slices"
	"strings"
)

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

// refuse returns options that are refused for the same reason. A word of list has the form
// "-x,name=": the short form and the "=" of a required value may be missing, and "[=]" stands for
// an optional value.
func refuse(reason, list string) []Spec {
	var specs []Spec
	for word := range strings.FieldsSeq(list) {
		spec := Spec{Help: reason}
		if word[0] == '-' {
			spec.Short, word = word[1], word[len("-x,"):]
		}
		if name, ok := strings.CutSuffix(word, "[=]"); ok {
			word, spec.Arg, spec.Param = name, OptionalArgument, "..."
			spec.ShortBare = spec.Short != 0 && spec.Short != 'l'
		} else if name, ok := strings.CutSuffix(word, "="); ok {
			word, spec.Arg, spec.Param = name, RequiredArgument, "..."
		}
		spec.Name = word
		specs = append(specs, spec)
	}
	return specs
}

func integrationOptions() []Spec {
	return append(
		refuse(noIntegration, `
			-1,enable-dbus[=] enable-ubus[=] conntrack connmark-allowlist-enable[=] connmark-allowlist=
			ipset= nftset= dumpfile= dumpmask=`),
		refuse(noScripts, "script-arp script-on-renewal")...)
}

func dnssecOptions() []Spec {
	return refuse(noDNSSEC, `
		dnssec trust-anchor= dnssec-debug dnssec-check-unsigned[=] dnssec-no-timecheck dnssec-timestamp=
		dnssec-limits=`)
}

func authOptions() []Spec {
	return refuse(noAuth, "auth-server= auth-zone= auth-ttl= auth-soa= auth-sec-servers= auth-peer=")
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
	return slices.Concat(
		specs,
		refuse(noDHCP, `
			-3,bootp-dynamic[=] bridge-interface= dhcp-alternate-port[=] -K,dhcp-authoritative -M,dhcp-boot=
			dhcp-broadcast[=] dhcp-circuitid= dhcp-client-update dhcp-duid= dhcp-fqdn dhcp-generate-names[=]
			-G,dhcp-host= dhcp-hostsdir= dhcp-hostsfile= -J,dhcp-ignore= dhcp-ignore-clid
			dhcp-ignore-names[=] -X,dhcp-lease-max= -l,dhcp-leasefile[=] dhcp-luascript= -4,dhcp-mac=
			dhcp-match= dhcp-name-match= dhcp-no-override -O,dhcp-option= dhcp-option-force= dhcp-optsdir=
			dhcp-optsfile= dhcp-proxy[=] dhcp-pxe-vendor= -F,dhcp-range= dhcp-rapid-commit dhcp-relay=
			dhcp-remoteid= dhcp-reply-delay= -6,dhcp-script= dhcp-scriptuser= dhcp-sequential-ip
			dhcp-split-relay= dhcp-subscrid= dhcp-ttl= -j,dhcp-userclass= -U,dhcp-vendorclass=
			-9,leasefile-ro leasequery[=] log-dhcp -5,no-ping pxe-prompt= pxe-service= -Z,read-ethers
			shared-network= tag-if=`),
		refuse(noRA, "enable-ra ra-param="),
		refuse(noTFTP, `
			enable-tftp[=] tftp-root= tftp-unique-root[=] tftp-secure tftp-no-fail tftp-max= tftp-mtu=
			tftp-no-blocksize tftp-lowercase tftp-port-range= tftp-single-port`),
	)
}
