package backend_test

import (
	"fmt"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

func ExampleBackend() {
	tree := treecache.New(dnsname.MustParse("cluster.local"))
	set, _ := records.Build(&records.Service{
		Namespace: "default", Name: "web", ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.10")},
	}, nil, len("\x07cluster\x05local\x00"), records.DefaultTTL)
	tree.Replace(set)
	b := backend.New(backend.Config{Tree: tree, Wildcards: true})

	for _, name := range []string{
		"web.default.svc.cluster.local", "web.*.svc.cluster.local",
		"10-0-0-7.default.pod.cluster.local", "default.svc.cluster.local", "nosuch.default.svc.cluster.local",
	} {
		answer := b.Records([]byte(dnsname.MustParse(name)))
		fmt.Print(name, ": ", answer.Status)
		for i := range answer.Len() {
			record := answer.At(i)
			fmt.Print(" ", record.Addr)
		}
		fmt.Println()
	}
	// Output:
	// web.default.svc.cluster.local: Found 10.96.0.10
	// web.*.svc.cluster.local: Found 10.96.0.10
	// 10-0-0-7.default.pod.cluster.local: Found 10.0.0.7
	// default.svc.cluster.local: NoRecords
	// nosuch.default.svc.cluster.local: NoSuchName
}
