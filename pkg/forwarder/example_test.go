package forwarder_test

import (
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// A forwarder with one address of its own. What comes from other servers needs
// Run.
func Example() {
	f, err := forwarder.New(forwarder.Config{
		Upstream: upstream.Config{Routes: []upstream.Route{{
			Domain: dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.MustParse("example.")},
			Addrs:  []netip.Addr{netip.MustParseAddr("127.0.0.99")},
		}}},
		Local: forwarder.Local{TTL: 60},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	query, _ := new(dns.Msg).SetQuestion("www.example.", dns.TypeA).Pack()
	f.Resolve(query, func(reply []byte, err error) {
		m := new(dns.Msg)
		fmt.Println(m.Unpack(reply), err, m.Answer)
	})
	// Output: <nil> <nil> [www.example.	60	IN	A	127.0.0.99]
}
