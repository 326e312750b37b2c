package dnsconfig_test

import (
	"fmt"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func ExampleParse() {
	config, err := dnsconfig.Parse(map[string]string{
		"stubDomains":         `{"corp.example": ["192.0.2.53", "[2001:db8::53]:5353", "ns.corp.example"]}`,
		"upstreamNameservers": `["198.51.100.1"]`,
	})
	fmt.Println(config.StubDomains[dnsname.MustParse("corp.example")], config.UpstreamNameservers, err)

	_, err = dnsconfig.Parse(map[string]string{"federations": "west", "upstreamNameservers": `["ns.example"]`})
	fmt.Println(err)
	// Output:
	// [192.0.2.53:53 [2001:db8::53]:5353 ns.corp.example] [198.51.100.1:53] <nil>
	// key federations: "west" is not of the form name=domain
	// key upstreamNameservers: "ns.example" is not an IP address
}
