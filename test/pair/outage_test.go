package pair

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestSilentOutside: a client asks for 60 names outside the cluster a second, and no server
// there answers. Meanwhile every name of the cluster is answered, including names that were
// never asked for before and those whose TTL has expired.
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

// flood asks for new names outside the cluster until ctx ends, perSecond of them a second,
// and ignores the answers.
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

// TestForgedAnswers: with --ignore-address, the real answer is used even if a forged one
// comes first. With --bogus-nxdomain, the forged answer becomes NXDOMAIN.
func TestForgedAnswers(t *testing.T) {
	forger := dnstest.NewServer(t, dnstest.Zone(0, "www.example. 300 A 192.0.2.66"))
	slow := dnstest.NewServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		time.Sleep(50 * time.Millisecond)
		return dnstest.Zone(0, "www.example. 300 A 198.51.100.1")(q, tcp)
	})
	both := dnstest.NewServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		return append(dnstest.Zone(0, "www.example. 300 A 192.0.2.66")(q, tcp), dnstest.Zone(0, "www.example. 300 A 198.51.100.1")(q, tcp)...)
	})
	server := func(s *dnstest.Server) string {
		return "--server=" + strings.Replace(s.Addr.String(), ":", "#", 1)
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"one server sends both", []string{"--ignore-address=192.0.2.66", server(both)}, "198.51.100.1"},
		{"one of two forges", []string{"--ignore-address=192.0.2.66", server(forger), server(slow)}, "198.51.100.1"},
		{"in order", []string{"--ignore-address=192.0.2.66", "--strict-order", server(forger), server(slow)}, "198.51.100.1"},
		{"all servers", []string{"--ignore-address=192.0.2.0/24", "--all-servers", server(slow), server(forger)}, "198.51.100.1"},
		{"all forged", []string{"--ignore-address=192.0.2.66", server(forger)}, "SERVFAIL"},
		{"bogus", []string{"--bogus-nxdomain=192.0.2.66", server(forger)}, "NXDOMAIN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startCache(t, tt.args...)
			for i := range 2 {
				if got := p.answer("www.example.", dns.TypeA); got != tt.want {
					t.Errorf("answer %d: got %q, want %q", i, got, tt.want)
				}
			}
		})
	}
}

// startCache runs dnscache alone.
func startCache(t *testing.T, args ...string) *pair {
	t.Helper()
	port := testkit.FreePorts(t, 21000, 3000, 1)[0]
	p := &pair{t: t, addr: "127.0.0.1:" + strconv.Itoa(port)}
	p.dnscache = addon.Start(t, filepath.Join(bin, "dnscache"), append(args, "--listen-address=127.0.0.1", "--port="+strconv.Itoa(port),
		"--bind-interfaces", "--no-resolv", "--no-hosts", "--keep-in-foreground", "--log-facility=-", "--user=", "--pid-file=", "--host-record=ready.example,127.0.0.1")...)
	p.dnscache.WaitFor(t, 10*time.Second, "dnscache", func(ctx context.Context) bool {
		m, err := p.exchange(ctx, "ready.example.", dns.TypeA)
		return err == nil && len(m.Answer) == 1
	})
	return p
}
