package records_test

import (
	"fmt"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

func ExampleBuild() {
	set, problems := records.Build(&records.Service{
		Namespace: "default", Name: "web", Kind: records.ClusterIP,
		ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.10")},
		Ports: []records.Port{
			{Name: "http", Protocol: records.TCP, Number: 80},
			{Name: "not a name", Protocol: records.TCP, Number: 81},
		},
	}, nil, len("\x07cluster\x05local\x00"), records.DefaultTTL)
	tree := treecache.New(dnsname.MustParse("cluster.local"))
	tree.Replace(set)

	answer := tree.Snapshot().Lookup([]byte(dnsname.MustParse("_http._tcp.web.default.svc.cluster.local")))
	record := answer.At(0)
	fmt.Println(answer.Status, record.Priority, record.Weight, record.Port, record.Target())
	fmt.Println(problems)
	// Output:
	// Found 10 100 80 web.default.svc.cluster.local.
	// [spec.ports[1].name: not an RFC 1123 label of at most 62 characters]
}
