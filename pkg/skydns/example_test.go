package skydns_test

import (
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// oneName is a backend that knows one name.
type oneName struct{}

func (oneName) HasSynced() bool { return true }

func (oneName) ReverseRecord(netip.Addr, *[]treecache.Record) treecache.Answer {
	return treecache.Answer{}
}

func (oneName) Records(name []byte) treecache.Answer {
	if dnsname.Name(name) != dnsname.MustParse("web.example.test") {
		return treecache.Answer{}
	}
	return treecache.ListAnswer([]treecache.Record{treecache.AddressRecord(netip.MustParseAddr("192.0.2.1"), 30)})
}

func ExampleServer() {
	server, err := skydns.New(skydns.Config{Domain: dnsname.MustParse("example.test"), Backend: oneName{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"web.example.test.", "gone.example.test.", "elsewhere.test."} {
		query, _ := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		var reply dns.Msg
		_ = reply.Unpack(server.Handle(query, listener.ReplyTo{}, make([]byte, 0, listener.MaxMessageBytes)))
		fmt.Println(name, dns.RcodeToString[reply.Rcode], reply.Answer)
	}
	// Output:
	// web.example.test. NOERROR [web.example.test.	30	IN	A	192.0.2.1]
	// gone.example.test. NXDOMAIN []
	// elsewhere.test. REFUSED []
}
