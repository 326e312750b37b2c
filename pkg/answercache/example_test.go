package answercache_test

import (
	"fmt"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// A forwarder looks into the cache first, and stores the reply of an upstream server.
func ExampleCache() {
	cache := answercache.New(answercache.Config{Entries: 10000, FailureTTL: 5})
	now := int64(0) // nanoseconds

	// A client's packet, and the reply of an upstream server to its question.
	packet := wire.AppendQuery(nil, 1, wire.FlagRD, wire.Subject{Name: []byte("\x03Web\x00"), Type: wire.TypeA, Class: wire.ClassIN}, &wire.OPT{})
	var q wire.Query
	if wire.ParseQuery(packet, &q) != wire.Accept {
		return
	}
	upstream := wire.AppendHeader(nil, &q, wire.FlagRA)
	upstream = append(upstream, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x1e\x00\x04\x0a\x00\x00\x01"...)
	wire.SetCount(upstream, wire.Answer, 1)

	_, result := cache.Lookup(nil, &q, now, false)
	fmt.Println("before:", result == answercache.Miss)

	var r wire.Reply
	if wire.ParseReply(upstream, &r) && r.Answers(&q) {
		cache.Store(&q, &r, nil, cache.Epoch(), now)
	}

	reply, result := cache.Lookup(nil, &q, now+10e9, false)
	reply = wire.FinishReply(reply, 0, &q, q.ReplyLimit(wire.DefaultPayload), &wire.OPT{})
	wire.ParseReply(reply, &r)
	var rec wire.Record
	for it := r.Records(); it.Next(&rec); {
		fmt.Println("after 10 seconds:", result == answercache.Hit, rec.TTL)
	}
	// Output:
	// before: true
	// after 10 seconds: true 20
}
