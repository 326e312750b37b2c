package forwarder_test

import (
	"fmt"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// A forwarder with a stage that answers for one name. Answers from servers would need Run.
func Example() {
	stage := forwarder.Stage{Query: func(q *forwarder.Query) bool {
		if string(q.Name) != "\x03www\x07example\x00" || q.Msg.Type != wire.TypeA {
			return false
		}
		q.Build().Addr(nil, 60, netip.MustParseAddr("127.0.0.99"))
		return q.Answer("example")
	}}
	f, err := forwarder.New(forwarder.Config{Stages: []forwarder.Stage{stage}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	question := wire.Query{Name: []byte(dnsname.MustParse("www.example.")), Type: wire.TypeA, Class: wire.ClassIN, Flags: wire.FlagRD}
	f.Resolve(&question, func(reply *wire.Reply, err error) {
		var r wire.Record
		for it := reply.Records(); it.Next(&r); {
			addr, _ := netip.AddrFromSlice(reply.Msg[r.Data:r.End])
			fmt.Println(err, r.TTL, addr)
		}
	})
	// Output: <nil> 60 127.0.0.99
}
