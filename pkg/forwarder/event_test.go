package forwarder

import (
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// recorder is a query log.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Log(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	words := []string{"query", "forwarded", "reply", "truncated", "cached", "stale", "local", "error", "duplicate"}
	r.lines = append(r.lines, itoa(int(e.Serial))+" "+words[e.Kind]+" "+wireText(e.Name)+" "+dns.RcodeToString[e.Rcode])
}

func TestQueryLog(t *testing.T) {
	log := new(recorder)
	cfg := to(newFakeServer(t, zone(0, rec)))
	cfg.Log = log
	cfg.Stages = []Stage{{Query: func(q *Query) bool {
		if q.Msg.Type != wire.TypeA || string(q.Name) != "\x03lit\x00" {
			return false
		}
		q.Build().Addr(nil, 1, netip.MustParseAddr("127.9.9.9"))
		return q.Answer("")
	}}}
	c := newClient(t, run(t, cfg), 2, false)
	c.Ask(question("www.example.", dns.TypeA))
	c.Ask(question("www.example.", dns.TypeA))
	c.Ask(question("lit.", dns.TypeA))
	c.Ask(question("x.lit.", dns.TypeAXFR))
	want := []string{
		"1 query www.example NOERROR", "1 forwarded www.example NOERROR", "1 reply www.example NOERROR",
		"2 query www.example NOERROR", "2 cached www.example NOERROR",
		"3 query lit NOERROR", "3 local lit NOERROR",
		"4 query x.lit NOERROR", "4 error x.lit REFUSED",
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if diff := cmp.Diff(want, slices.Clone(log.lines)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// wireText returns a wire name as text without the final dot.
func wireText(name []byte) string {
	text, _, _ := dns.UnpackDomainName(name, 0)
	return text[:len(text)-1]
}
