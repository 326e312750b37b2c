package forwarder

import (
	"fmt"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// TestReloadLetsGo: after a configuration has been replaced, no goroutine that waits for its
// next query or reply keeps the stages of the old one, which may hold the lists of hosts files.
func TestReloadLetsGo(t *testing.T) {
	s := newFakeServer(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{pack(reply(q, 0, q.Question[0].Name+" 30 A 127.1.0.1"))}
	})
	config := func() (Config, weak.Pointer[[1 << 20]byte]) {
		large := new([1 << 20]byte)
		cfg := to(s)
		cfg.Stages = []Stage{{
			Query: func(*Query) bool { return large[7] != 0 },
			Reply: func(*Reply) bool { return large[8] != 0 },
		}}
		return cfg, weak.Make(large)
	}
	cfg, old := config()
	f := run(t, cfg)
	server := listen(t, f, "127.0.0.1:0")

	part := newClient(t, f, 2, false)
	for i := range 20 {
		q := question(fmt.Sprintf("n%d.example.", i/2), dns.TypeA) // a miss and a hit
		for _, network := range []string{"udp", "tcp"} {
			client := dns.Client{Net: network, Timeout: hang}
			if _, _, err := client.Exchange(q, server.Addrs()[0].String()); err != nil {
				t.Fatal(err)
			}
		}
		part.Ask(question(fmt.Sprintf("m%d.example.", i/2), dns.TypeA))
		done := make(chan struct{})
		var ask wire.Query
		if wire.ParseQuery(pack(question(fmt.Sprintf("r%d.example.", i/2), dns.TypeA)), &ask) != wire.Accept {
			t.Fatal("no query")
		}
		f.Resolve(&ask, func(*wire.Reply, error) { close(done) })
		<-done
	}
	cfg, _ = config()
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(hang); old.Value() != nil; time.Sleep(time.Millisecond) {
		if runtime.GC(); time.Now().After(end) {
			t.Fatal("the stages of the last configuration are still in memory")
		}
	}
}
