package config

import (
	"cmp"
	"encoding/binary"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// addMail adds the MX records of --mx-host, --mx-target, --localmx and --selfmx. As in dnsmasq,
// host itself gets an MX record with preference 0 if --mx-target or --localmx is given.
func addMail(out *local.Config, l *options.Local, host dnsname.Name) {
	target := cmp.Or(l.MXTarget, host)
	add := func(name dnsname.Name, preference uint16) {
		out.Records = append(out.Records, options.RecordOption{
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
