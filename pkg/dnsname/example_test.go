package dnsname_test

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func ExampleParse() {
	n, err := dnsname.Parse("Web.Default.svc.cluster.local")
	fmt.Printf("%q %v\n", string(n), err)
	fmt.Println(n)
	// Output:
	// "\x03web\adefault\x03svc\acluster\x05local\x00" <nil>
	// web.default.svc.cluster.local.
}

func ExampleOffsets() {
	wire := []byte(dnsname.MustParse("web.default.svc.cluster.local"))
	offsets := dnsname.Offsets(nil, wire)
	for _, at := range slices.Backward(offsets) { // from the top of the name down
		fmt.Print(string(wire[at+1:at+1+wire[at]]), " ")
	}
	// Output: local cluster svc default web
}

func ExampleReverseName() {
	fmt.Println(dnsname.ReverseName(netip.MustParseAddr("10.96.0.1")))
	// Output: 1.0.96.10.in-addr.arpa.
}
