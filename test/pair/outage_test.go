package pair

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestSilentOutside: one client asks 60 names outside the cluster a second, and
// nobody out there answers. Every name of the cluster is answered meanwhile,
// those never asked before too, and those whose TTL is over.
func TestSilentOutside(t *testing.T) {
	for form, extra := range map[string]func(kubedns, dir string) []string{
		"one group": func(kubedns, _ string) []string {
			return []string{"--server=" + kubedns, "--serve-stale=1h", "--max-cache-ttl=2"}
		},
		"groups": func(kubedns, _ string) []string {
			return []string{"--server=/cluster.local/" + kubedns, "--server=" + kubedns, "--serve-stale=1h", "--max-cache-ttl=2"}
		},
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			silent := dnstest.NewServer(t, dnstest.Silence)
			p := start(t, silent.Addr, extra)
			ctx, cancel := context.WithCancel(t.Context())
			var flood sync.WaitGroup
			flood.Go(func() { p.flood(ctx, 60) })
			defer flood.Wait()
			defer cancel()
			for i, end := 0, time.Now().Add(8*time.Second); time.Now().Before(end); i++ {
				fresh := fmt.Sprintf("10-%d-%d-1.default.pod.cluster.local.", i/200, i%200)
				for name, want := range map[string]string{
					"web.default.svc.cluster.local.": "10.3.0.10",
					fresh:                            fmt.Sprintf("10.%d.%d.1", i/200, i%200),
				} {
					if got := p.answer(name, dns.TypeA); got != want {
						t.Fatalf("%s after %d others: got %q, want %q", name, i, got, want)
					}
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}

// flood asks new names outside the cluster until ctx ends, so many a second,
// and does not look at the answers.
func (p *pair) flood(ctx context.Context, perSecond int) {
	conn, err := net.Dial("udp", p.addr)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer conn.Close()
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	for i := 0; ; i++ {
		packet := dnstest.Pack(dnstest.Question(fmt.Sprintf("n%d.outside.example.", i), dns.TypeA))
		if _, err := conn.Write(packet); err != nil {
			p.t.Error(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
