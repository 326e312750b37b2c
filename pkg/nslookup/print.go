package nslookup

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// text returns the answer in busybox's format.
func (a LookupAnswer) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Server:\t\t%s\nAddress:\t%s\n\n", a.ServerName, a.Server)
	for _, s := range a.Sections {
		if !s.Authoritative {
			b.WriteString("Non-authoritative answer:\n")
		}
		for _, rr := range s.Records {
			b.WriteString(line(rr))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// line returns one record in busybox's format, or in zone file format if busybox does
// not know the type.
func line(rr dns.RR) string {
	name := bare(rr.Header().Name)
	switch rr := rr.(type) {
	case *dns.A:
		return fmt.Sprintf("Name:\t%s\nAddress: %s\n", name, rr.A)
	case *dns.AAAA:
		return fmt.Sprintf("Name:\t%s\nAddress: %s\n", name, rr.AAAA)
	case *dns.CNAME:
		return fmt.Sprintf("%s\tcanonical name = %s\n", name, bare(rr.Target))
	case *dns.PTR:
		return fmt.Sprintf("%s\tname = %s\n", name, bare(rr.Ptr))
	case *dns.NS:
		return fmt.Sprintf("%s\tnameserver = %s\n", name, bare(rr.Ns))
	case *dns.MX:
		return fmt.Sprintf("%s\tmail exchanger = %d %s\n", name, rr.Preference, bare(rr.Mx))
	case *dns.TXT:
		return fmt.Sprintf("%s\ttext = \"%s\"\n", name, strings.Join(rr.Txt, ""))
	case *dns.SRV:
		return fmt.Sprintf("%s\tservice = %d %d %d %s\n", name, rr.Priority, rr.Weight, rr.Port, bare(rr.Target))
	case *dns.SOA:
		return fmt.Sprintf("%s\n\torigin = %s\n\tmail addr = %s\n\tserial = %d\n\trefresh = %d\n\tretry = %d\n\texpire = %d\n\tminimum = %d\n",
			name, bare(rr.Ns), bare(rr.Mbox), rr.Serial, rr.Refresh, rr.Retry, rr.Expire, rr.Minttl)
	}
	return rr.String() + "\n"
}

// bare returns a name without its final dot, which only the root keeps.
func bare(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}
