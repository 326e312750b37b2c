package wire_test

import (
	"fmt"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// A server judges each packet, and answers what it accepts with a Builder.
func ExampleBuilder() {
	answer := func(packet, reply []byte) []byte {
		var q wire.Query
		switch v := wire.ParseQuery(packet, &q); v {
		case wire.Accept:
		case wire.Drop:
			return nil
		default:
			return wire.AppendError(reply, &q, v.Rcode(), wire.OPT{})
		}
		var b wire.Builder
		b.Start(reply, &q, q.ReplyLimit(wire.DefaultPayload))
		b.SetAA(true)
		for i := range byte(3) {
			if !b.Addr(nil, 30, netip.AddrFrom4([4]byte{10, 0, 0, i})) {
				b.SetTC()
				break
			}
		}
		return b.Finish(wire.OPT{})
	}

	packet := wire.AppendQuery(nil, 1, wire.FlagRD, wire.Subject{Name: []byte("\x03web\x00"), Type: wire.TypeA, Class: wire.ClassIN}, nil)
	reply := answer(packet, nil)
	fmt.Println("answers:", wire.Count(reply, wire.Answer))

	reply = answer(packet[:len(packet)-1], nil)
	fmt.Println("cut query, rcode:", wire.Rcode(wire.Flags(reply)))
	// Output:
	// answers: 3
	// cut query, rcode: 1
}

// A reply's records are walked without being copied.
func ExampleIter() {
	query := wire.Query{Name: []byte("\x03web\x00"), Type: wire.TypeA, Class: wire.ClassIN}
	var b wire.Builder
	b.Start(nil, &query, wire.MaxMessage)
	b.NameRecord(nil, wire.TypeCNAME, 60, []byte("\x05other\x03web\x00"))
	b.Addr([]byte("\x05other\x03web\x00"), 30, netip.MustParseAddr("10.0.0.1"))

	var r wire.Reply
	if !wire.ParseReply(b.Finish(wire.OPT{}), &r) {
		return
	}
	var rec wire.Record
	for it := r.Records(); it.Next(&rec); {
		owner, _, _ := wire.AppendName(nil, r.Msg, rec.Owner)
		fmt.Printf("%q type %d ttl %d: %d octets\n", owner, rec.Type, rec.TTL, rec.End-rec.Data)
	}
	// Output:
	// "\x03web\x00" type 5 ttl 60: 8 octets
	// "\x05other\x03web\x00" type 1 ttl 30: 4 octets
}
