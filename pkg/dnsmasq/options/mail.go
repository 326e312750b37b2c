package options

import (
	"encoding/binary"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// MailHost is one --mx-host without the name of a mail server, which is then --mx-target
// or, without that, this host.
type MailHost struct {
	Name       dnsname.Name
	Preference uint16
}

// defaultPreference is the default preference of --mx-host.
const defaultPreference = 1

func setMX(p *parser, value string, _ bool) error {
	list := items(value)
	preference := uint16(defaultPreference)
	if len(list) > 2 {
		var err error
		if preference, err = number16(strings.Join(list[2:], ","), "bad MX preference"); err != nil {
			return err
		}
	}
	if len(list) == 1 {
		name, err := nameItem(list[0])
		if err != nil {
			return err
		}
		addNew(p, &p.o.Local.MailHosts, MailHost{name, preference})
		return nil
	}
	// As in dnsmasq, an empty target is the root: no mail (RFC 7505).
	target, err := targetItem(list[1])
	if err != nil {
		return err
	}
	return p.addRecord(list[0], wire.TypeMX, append(binary.BigEndian.AppendUint16(nil, preference), target...))
}

func setMXTarget(p *parser, value string, _ bool) error {
	name, err := nameItem(value)
	if err != nil {
		return err
	}
	p.o.Local.MXTarget = name
	return nil
}
