package config

import (
	"encoding/binary"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/ednstag"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// addMail adds what --mx-host, --mx-target, --localmx and --selfmx ask for. As
// in dnsmasq this host has a record of preference 0 once there is a mail server
// for all.
func addMail(out *local.Config, l *options.Local, host dnsname.Name) {
	target := host
	if l.MXTarget != "" {
		target = l.MXTarget
	}
	add := func(name dnsname.Name, preference uint16) {
		out.Records = append(out.Records, local.ConfigRecord{
			Name: name, Type: wire.TypeMX,
			Data: append(binary.BigEndian.AppendUint16(nil, preference), target...),
		})
	}
	if l.MXTarget != "" || l.LocalMX {
		add(host, 0)
	}
	for _, m := range l.MailHosts {
		add(m.Name, m.Preference)
	}
	out.SelfMX = l.SelfMX
	if l.LocalMX {
		out.MailTarget = target
	}
}

// clientInfo converts what other servers are told about clients.
func clientInfo(c *options.ClientInfo, mac func(netip.Addr) []byte) ednstag.Config {
	return ednstag.Config{
		MAC: mac, MACRaw: c.MAC, MACBase64: c.MACBase64, MACText: c.MACText,
		Subnet:  c.AddSubnet,
		Subnet4: c.Subnet4, Subnet6: c.Subnet6,
		CPEID:    c.CPEID,
		Umbrella: c.Umbrella,
	}
}
