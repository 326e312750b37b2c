package treecache_test

import (
	"fmt"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// A headless Service with a host of two addresses: both are answers for
// addresses, and one is left out for SRV.
func Example() {
	path, err := treecache.MakePath("db", "prod")
	if err != nil {
		fmt.Println(err)
		return
	}
	tree := treecache.New(dnsname.MustParse("cluster.local"))
	tree.Replace(treecache.NewSet(&treecache.SetSpec{
		Path: path, Kind: treecache.Headless, TTL: 30, Priority: 10,
		Hosts: []treecache.SetHost{
			{Name: "db-0", Addr: netip.MustParseAddr("10.0.0.1")},
			{Name: "db-0", Addr: netip.MustParseAddr("2001:db8::1")},
			{Addr: netip.MustParseAddr("10.0.0.2")},
		},
		Ports: []treecache.SetPort{{Name: "pg", Protocol: treecache.TCP, Number: 5432}},
	}))
	snapshot := tree.Snapshot()

	answer := snapshot.Lookup([]byte(dnsname.MustParse("db.prod.svc.cluster.local")))
	for i := range answer.Len() {
		record := answer.At(i)
		fmt.Println(record.Addr)
	}
	answer = snapshot.Lookup([]byte(dnsname.MustParse("_pg._tcp.db.prod.svc.cluster.local")))
	for i := range answer.Len() {
		if record := answer.At(i); !record.Repeat {
			fmt.Println(record.Priority, record.Weight, record.Port, record.Target())
		}
	}
	answer = snapshot.Reverse(netip.MustParseAddr("2001:db8::1"), nil)
	record := answer.At(0)
	fmt.Println(record.Target())
	// Output:
	// 10.0.0.2
	// 10.0.0.1
	// 2001:db8::1
	// 10 50 5432 6661613463623165.db.prod.svc.cluster.local.
	// 10 50 5432 db-0.db.prod.svc.cluster.local.
	// db-0.db.prod.svc.cluster.local.
}
